/*
 * origin.c - GNU libmicrohttpd as an origin of the home garden: origin PORT LOG, serves until stdin ends.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

static FILE *log_file;

static enum MHD_Result answer(void *user, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **state)
{
    static char text[] = "{}";
    size_t *body = *state;
    struct MHD_Response *response;
    enum MHD_Result rc;
    const char *id;

    (void)user, (void)version, (void)upload;
    if (!body) { /* the head */
        *state = calloc(1, sizeof(size_t));
        return *state ? MHD_YES : MHD_NO;
    }
    if (*upload_size > 0) {
        *body += *upload_size;
        *upload_size = 0;
        return MHD_YES;
    }
    id = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "X-Request-Id");
    fprintf(log_file, "%s\t%s\t%s\t%zu\n", id ? id : "", method, url, *body);
    fflush(log_file);
    free(body);
    *state = NULL;
    response = MHD_create_response_from_buffer(2, text, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "Content-Type", "application/json");
    rc = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return rc;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct MHD_Daemon *server;

    if (argc != 3 || !(log_file = fopen(argv[2], "a")))
        return 1;
    address.sin_port = htons((uint16_t)atoi(argv[1]));
    server = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL, 0, NULL, NULL, answer, NULL,
                              MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_END);
    if (!server)
        return 1;
    while (getchar() != EOF)
        ;
    MHD_stop_daemon(server);
    return 0;
}
