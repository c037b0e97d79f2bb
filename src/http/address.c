/*
 * address.c - reading and printing of socket addresses.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "http/address.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

_Static_assert(sizeof(((struct http_address *)0)->path) == sizeof(((struct sockaddr_un *)0)->sun_path),
               "a path that fits is one that can be bound");

static enum serin_errc parse_unix(const char *path, struct http_address *ret, struct serin_error *error)
{
    if (path[0] != '/')
        return error_set(error, SERIN_INVALID, "'unix:%s': an absolute path follows unix:", path);
    if (strlen(path) >= sizeof(ret->path))
        return error_set(error, SERIN_INVALID, "'unix:%s' has %zu bytes of path, the kernel's limit is %zu", path,
                         strlen(path), sizeof(ret->path) - 1);
    ret->is_unix = true;
    memcpy(ret->path, path, strlen(path) + 1);
    snprintf(ret->authority, sizeof(ret->authority), "localhost");
    return SERIN_OK;
}

static bool good_host(const char *host, bool brackets)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    static const char ipv6[] = "0123456789abcdefABCDEF:.";

    return host[0] && host[strspn(host, brackets ? ipv6 : letters)] == '\0';
}

static bool good_port(const char *port, int *ret)
{
    *ret = (int)strtol(port, NULL, 10);
    return strlen(port) >= 1 && strlen(port) <= 5 && port[strspn(port, "0123456789")] == '\0' && *ret <= 65535;
}

enum serin_errc http_address_parse(const char *text, struct http_address *ret, struct serin_error *error)
{
    struct http_address address = {.is_unix = false};
    const char *host = text, *end, *colon;
    bool brackets;
    int port;

    if (strncmp(text, "unix:", 5) == 0) {
        enum serin_errc rc = parse_unix(text + 5, &address, error);

        if (rc == SERIN_OK)
            *ret = address;
        return rc;
    }
    address.is_tls = strncmp(text, "https://", 8) == 0;
    if (address.is_tls)
        host = text + 8;
    else if (strncmp(text, "http://", 7) == 0)
        host = text + 7;
    end = host + strlen(host);
    if (end > host && end[-1] == '/' && host != text)
        end--;
    brackets = host[0] == '[';
    colon = brackets ? memchr(host, ']', (size_t)(end - host)) : host;
    colon = colon ? memchr(colon, ':', (size_t)(end - colon)) : NULL;
    if (!colon && host == text)
        return error_set(error, SERIN_INVALID, "'%s' is not HOST:PORT, http://HOST:PORT or unix:/PATH", text);
    snprintf(address.port, sizeof(address.port), "%.*s", colon ? (int)(end - colon - 1 < 6 ? end - colon - 1 : 6) : 3,
             colon            ? colon + 1
             : address.is_tls ? "443"
                              : "80");
    if (colon)
        end = colon;
    if (brackets && end > host + 1 && end[-1] == ']') {
        host++;
        end--;
    } /* else the bracket stays, and the name is refused for it */
    if ((size_t)(end - host) >= sizeof(address.host))
        return error_set(error, SERIN_INVALID, "a host name of %zu bytes, the limit is %zu", (size_t)(end - host),
                         sizeof(address.host) - 1);
    memcpy(address.host, host, (size_t)(end - host));
    if (!good_host(address.host, brackets) || !good_port(address.port, &port) ||
        (colon && colon[1 + strlen(address.port)] != '\0' && colon[1 + strlen(address.port)] != '/'))
        return error_set(error, SERIN_INVALID,
                         "'%s' is not HOST:PORT, http://HOST:PORT or unix:/PATH (a port lies within 0 and 65535)",
                         text);
    address.is_numeric = uv_ip4_addr(address.host, port, (struct sockaddr_in *)&address.ip) == 0 ||
                         uv_ip6_addr(address.host, port, (struct sockaddr_in6 *)&address.ip) == 0;
    if (brackets && !address.is_numeric)
        return error_set(error, SERIN_INVALID, "'%s': '%s' is not an IPv6 address", text, address.host);
    snprintf(address.authority, sizeof(address.authority), brackets ? "[%s]:%s" : "%s:%s", address.host, address.port);
    *ret = address;
    return SERIN_OK;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

bool http_address_is_local(const char *text)
{
    struct http_address address;

    if (http_address_parse(text, &address, NULL) != SERIN_OK)
        return false;
    return address.is_unix || (address.is_numeric && is_loopback((const struct sockaddr *)&address.ip));
}

/* BBR, the default of many systems, paces what it sends by timers: a fifth of the CPU time of a body of 2 MB, and a
 * sixth of one of 200 KB. Reno (RFC 5681) does not, and every kernel has it; where it cannot be chosen, only that is
 * lost. */
void http_socket_expect(int fd, const struct sockaddr *address)
{
    static const char reno[] = "reno";

    if (is_loopback(address))
        (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, reno, sizeof(reno) - 1);
}

void http_address_text(const struct sockaddr *address, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";

    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *ip4 = (const struct sockaddr_in *)address;

        uv_ip4_name(ip4, host, sizeof(host));
        snprintf(text, size, "%s:%u", host, ntohs(ip4->sin_port));
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *ip6 = (const struct sockaddr_in6 *)address;

        uv_ip6_name(ip6, host, sizeof(host));
        snprintf(text, size, "[%s]:%u", host, ntohs(ip6->sin6_port));
    } else {
        snprintf(text, size, "unix");
    }
}

int http_socket_init(uv_loop_t *loop, union http_socket *socket, bool is_unix)
{
    return is_unix ? uv_pipe_init(loop, &socket->pipe, 0) : uv_tcp_init(loop, &socket->tcp);
}
