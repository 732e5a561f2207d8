/*
 * prgatectl app-manifest: the manifest to make prgate's GitHub App from.
 *
 * With a URL it does without a configuration, which cannot be complete before there is an App.
 */
#include "cli.h"
#include "prgate/buf.h"
#include "prgate/manifest.h"

enum exit_status cmd_app_manifest(const struct cli *cli)
{
    struct buf url;
    enum exit_status status = EXIT_OK;
    buf_init(&url);
    buf_adds(&url, cli->arguments[0] != NULL ? cli->arguments[0] : cli->config->public_url);
    while (url.len > 0 && url.data[url.len - 1] == '/')
        url.len--;
    if (url.len == 0) {
        fputs("prgatectl: the App needs the URL of this host: set public_url, or give it as an argument\n",
              stderr);
        status = EXIT_FAILED;
    } else if (!manifest_is_url(buf_text(&url))) {
        fprintf(stderr, "prgatectl: \"%s\" is not a URL as https://prgate.example\n", buf_text(&url));
        status = EXIT_USAGE;
    } else {
        cli_print_json(manifest_make(cli->config, buf_text(&url), NULL));
    }
    buf_release(&url);
    return status;
}
