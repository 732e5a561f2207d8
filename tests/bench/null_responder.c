/*
 * The least that a FastCGI responder can do: reads the body, answers 202. As many threads as prgate
 * has by default, accepting in the same way, so that the difference is what prgate does.
 */
#include <fcgiapp.h>
#include <pthread.h>
#include <stdlib.h>

enum { THREADS = 3 };

static void *respond(void *arg)
{
    char body[65536];
    FCGX_Request request;
    FCGX_InitRequest(&request, 0, 0);
    while (FCGX_Accept_r(&request) == 0) {
        while (FCGX_GetStr(body, (int)sizeof body, request.in) > 0)
            continue;
        FCGX_FPrintF(request.out, "Status: 202 Accepted\r\nContent-Type: application/json\r\n\r\n{}\n");
        FCGX_Finish_r(&request);
    }
    return arg;
}

int main(void)
{
    pthread_t threads[THREADS];
    FCGX_Init();
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, respond, NULL) != 0)
            return EXIT_FAILURE;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return EXIT_SUCCESS;
}
