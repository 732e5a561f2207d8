/*
 * For LD_PRELOAD: whoever trusts the system's authorities trusts the one in the file that TRUSTED_AUTHORITY names
 * instead. libcurl gives the system's list to OpenSSL by this function.
 */
#include <dlfcn.h>
#include <openssl/x509.h>
#include <stdlib.h>

int X509_STORE_load_file(X509_STORE *store, const char *file)
{
    const char *trusted = getenv("TRUSTED_AUTHORITY");
    int (*real)(X509_STORE *, const char *);
    *(void **)&real = dlsym(RTLD_NEXT, "X509_STORE_load_file");
    return real(store, trusted != NULL ? trusted : file);
}
