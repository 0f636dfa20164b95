/*
 * An SMTP server that throws mail away as fast as it comes, so that a benchmark measures the client.
 *
 *     sink [EXTENSION ...]        for example: sink PIPELINING CHUNKING SIZE 8BITMIME SMTPUTF8 "AUTH PLAIN LOGIN"
 *
 * tls_sink.c is the same with TLS from the first octet; it takes the file of a certificate and that of its key first.
 *
 * One thread, one epoll. It prints {"port": N} when it listens on 127.0.0.1, one line of JSON with its counters for each
 * line on stdin (after which they start at zero), and ends when stdin does, so that it cannot outlive its benchmark.
 *
 * A message is counted when its 2xx goes out. A recipient n<NUMBER>@... is a serial: each serial is ticked off once, and
 * counted as a duplicate when it comes again. Commands out of order get 503 and are counted as errors, but for a chunk
 * without a recipient: with one a client may find out, once a server, whether a refused chunk takes its octets with it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#endif

enum { INPUT = 256 * 1024, OUTPUT = 256 * 1024, ROOM_FOR_A_REPLY = 4096, SERIALS = 1 << 24, EVENTS = 256 };

typedef enum { COMMANDS, DATA, CHUNK, CREDENTIALS } Phase;

typedef struct {
    int fd;
#ifdef WITH_TLS
    SSL *tls;
#endif
    Phase phase;
    bool closing, at_data_start, last_chunk, waits_to_write, has_shaken_hands;
    int logins_to_read;                   /* further lines of AUTH */
    bool has_sender;
    long recipients, serial;              /* of the message in hand; serial < 0: none */
    size_t chunk_left;
    size_t in_start, in_end, out_start, out_end;
    char in[INPUT], out[OUTPUT];
} Client;

static struct {
    long messages, recipients, octets, connections, errors, distinct, duplicates;
} counters;

static unsigned char seen[SERIALS / 8];
static char greeting_of_ehlo[2048];
static struct timespec cpu_at_reset;
static int epoll;

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* The network */

#ifdef WITH_TLS
enum { READS_AT_ONCE = INPUT }; /* OpenSSL gives out one record at a time, and epoll knows of none that it keeps */

static SSL_CTX *tls_context;

static ssize_t result_of(Client *client, int count) {
    if (count > 0) return count;
    int error = SSL_get_error(client->tls, count);
    bool has_to_wait = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    ERR_clear_error();
    errno = has_to_wait ? EAGAIN : ECONNRESET;
    return has_to_wait ? -1 : 0;
}

static ssize_t receive(Client *client, char *octets, size_t room) {
    return result_of(client, SSL_read(client->tls, octets, room));
}

static ssize_t transmit(Client *client, const char *octets, size_t count) {
    return result_of(client, SSL_write(client->tls, octets, count));
}

static void begin_tls(Client *client) {
    client->tls = SSL_new(tls_context);
    if (!client->tls || !SSL_set_fd(client->tls, client->fd)) die("SSL_new");
    SSL_set_accept_state(client->tls);
}

static void end_tls(Client *client) { SSL_free(client->tls); }

/* 1 once the handshake is done, -1 while it waits for the client, 0 when it has failed. */
static ssize_t shake_hands(Client *client) {
    return SSL_is_init_finished(client->tls) ? 1 : result_of(client, SSL_do_handshake(client->tls));
}

static void load_certificate(const char *certificate, const char *key) {
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    tls_context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_use_certificate_chain_file(tls_context, certificate) != 1) die(certificate);
    if (SSL_CTX_use_PrivateKey_file(tls_context, key, SSL_FILETYPE_PEM) != 1) die(key);
}
#else
enum { READS_AT_ONCE = 1 };

static ssize_t receive(Client *client, char *octets, size_t room) { return recv(client->fd, octets, room, 0); }

static ssize_t transmit(Client *client, const char *octets, size_t count) {
    return send(client->fd, octets, count, MSG_NOSIGNAL);
}

static void begin_tls(Client *client) { (void)client; }

static void end_tls(Client *client) { (void)client; }

static ssize_t shake_hands(Client *client) { (void)client; return 1; }
#endif

/* Replies */

static void reply(Client *client, const char *text, size_t length) {
    memcpy(client->out + client->out_end, text, length);
    client->out_end += length;
}

#define REPLY(client, text) reply(client, text "\r\n", sizeof(text "\r\n") - 1)

static void refuse(Client *client) { REPLY(client, "503 5.5.1 Bad sequence or unknown command"); }

static void complain(Client *client) {
    counters.errors++;
    refuse(client);
}

static void forget_message(Client *client) {
    client->has_sender = false;
    client->recipients = 0;
    client->serial = -1;
}

static void tick_off(long serial) {
    unsigned char bit = 1 << (serial % 8), *byte = &seen[serial / 8];
    if (*byte & bit) counters.duplicates++;
    else counters.distinct++;
    *byte |= bit;
}

static void store(Client *client) {
    counters.messages++;
    counters.recipients += client->recipients;
    if (client->serial >= 0) tick_off(client->serial);
    char text[64];
    int length = snprintf(text, sizeof text, "250 2.0.0 Ok: queued as %010lX\r\n", counters.messages);
    reply(client, text, length);
    forget_message(client);
}

/* Commands */

static bool is(const char *line, size_t length, const char *verb) {
    size_t size = strlen(verb);
    return length >= size && strncasecmp(line, verb, size) == 0;
}

static void add_recipient(Client *client, const char *line, size_t length) {
    if (!client->has_sender) { complain(client); return; }
    client->recipients++;
    const char *bracket = memchr(line, '<', length);
    if (bracket && bracket + 2 < line + length && bracket[1] == 'n' && bracket[2] >= '0' && bracket[2] <= '9') {
        client->serial = strtol(bracket + 2, NULL, 10) % SERIALS;
    }
    REPLY(client, "250 2.1.5 Ok");
}

static void begin_data(Client *client) {
    if (!client->recipients) { complain(client); return; }
    client->phase = DATA;
    client->at_data_start = true;
    REPLY(client, "354 End data with <CR><LF>.<CR><LF>");
}

static void finish_chunk(Client *client) {
    client->phase = COMMANDS;
    if (!client->recipients) { refuse(client); return; }
    if (client->last_chunk) store(client);
    else REPLY(client, "250 2.0.0 Ok: chunk taken");
}

static void begin_chunk(Client *client, const char *line) {
    char *rest;
    client->chunk_left = strtoul(line + 5, &rest, 10);
    client->last_chunk = strncasecmp(rest, " LAST", 5) == 0;
    client->phase = CHUNK;
    if (!client->chunk_left) finish_chunk(client);
}

static void authenticate(Client *client, const char *line, size_t length) {
    bool is_login = is(line, length, "AUTH LOGIN");
    bool has_response = memchr(line + 5, ' ', length - 5) != NULL;
    client->logins_to_read = (is_login ? 2 : 1) - has_response;
    if (!client->logins_to_read) { REPLY(client, "235 2.7.0 Welcome"); return; }
    client->phase = CREDENTIALS;
    if (is_login && !has_response) REPLY(client, "334 VXNlcm5hbWU6");
    else if (is_login) REPLY(client, "334 UGFzc3dvcmQ6");
    else REPLY(client, "334 ");
}

static void take_credentials(Client *client) {
    if (--client->logins_to_read) { REPLY(client, "334 UGFzc3dvcmQ6"); return; }
    client->phase = COMMANDS;
    REPLY(client, "235 2.7.0 Welcome");
}

static void obey(Client *client, const char *line, size_t length) {
    if (client->phase == CREDENTIALS) take_credentials(client);
    else if (is(line, length, "RCPT TO:")) add_recipient(client, line, length);
    else if (is(line, length, "MAIL FROM:")) {
        if (client->has_sender) { complain(client); return; }
        client->has_sender = true;
        REPLY(client, "250 2.1.0 Ok");
    }
    else if (is(line, length, "BDAT ")) begin_chunk(client, line);
    else if (is(line, length, "DATA")) begin_data(client);
    else if (is(line, length, "EHLO ")) {
        forget_message(client);
        counters.connections++;
        reply(client, greeting_of_ehlo, strlen(greeting_of_ehlo));
    }
    else if (is(line, length, "HELO ")) { counters.connections++; REPLY(client, "250 sink.example"); }
    else if (is(line, length, "AUTH ")) authenticate(client, line, length);
    else if (is(line, length, "RSET")) { forget_message(client); REPLY(client, "250 2.0.0 Ok"); }
    else if (is(line, length, "NOOP")) REPLY(client, "250 2.0.0 Ok");
    else if (is(line, length, "QUIT")) { client->closing = true; REPLY(client, "221 2.0.0 Bye"); }
    else complain(client);
}

/* What comes in: commands, dot-terminated content, chunks. Each takes what it can and says whether to go on. */

static bool take_command(Client *client) {
    char *line = client->in + client->in_start;
    size_t available = client->in_end - client->in_start;
    char *end = memchr(line, '\n', available);
    if (!end) {
        if (available == INPUT) client->closing = true; /* a line without an end */
        return false;
    }
    client->in_start += end + 1 - line;
    obey(client, line, end - line);
    return true;
}

static bool take_data(Client *client) {
    char *content = client->in + client->in_start;
    size_t available = client->in_end - client->in_start;
    if (client->at_data_start) {
        if (available < 3) return false;
        client->at_data_start = false;
        if (memcmp(content, ".\r\n", 3) == 0) {
            client->in_start += 3;
            client->phase = COMMANDS;
            store(client);
            return true;
        }
    }
    char *end = memmem(content, available, "\r\n.\r\n", 5);
    if (!end) {
        size_t taken = available > 4 ? available - 4 : 0; /* the last four may be the start of the end */
        client->in_start += taken;
        counters.octets += taken;
        return false;
    }
    client->in_start += end + 5 - content;
    counters.octets += end + 2 - content;
    client->phase = COMMANDS;
    store(client);
    return true;
}

static bool take_chunk(Client *client) {
    size_t available = client->in_end - client->in_start;
    size_t taken = available < client->chunk_left ? available : client->chunk_left;
    client->in_start += taken;
    client->chunk_left -= taken;
    counters.octets += taken;
    if (client->chunk_left) return false;
    finish_chunk(client);
    return true;
}

static bool take(Client *client) {
    if (client->in_start == client->in_end || client->closing) return false;
    switch (client->phase) {
        case DATA: return take_data(client);
        case CHUNK: return take_chunk(client);
        default: return take_command(client);
    }
}

/* Connections */

static void hang_up(Client *client) {
    end_tls(client);
    close(client->fd);
    free(client);
}

static void watch(Client *client, bool to_write) {
    if (client->waits_to_write == to_write) return;
    struct epoll_event event = {.events = to_write ? EPOLLOUT : EPOLLIN, .data.ptr = client};
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, client->fd, &event)) die("epoll_ctl");
    client->waits_to_write = to_write;
}

/* Whether the client is still there. All replies to one read go out in one write. */
static bool flush(Client *client) {
    while (client->out_start < client->out_end) {
        ssize_t sent = transmit(client, client->out + client->out_start, client->out_end - client->out_start);
        if (sent < 0 && errno == EAGAIN) { watch(client, true); return true; }
        if (sent <= 0) { hang_up(client); return false; }
        client->out_start += sent;
    }
    client->out_start = client->out_end = 0;
    watch(client, false);
    if (client->closing) { hang_up(client); return false; }
    return true;
}

static bool has_room(const Client *client) {
    return client->out_end + ROOM_FOR_A_REPLY < OUTPUT;
}

/* Take all that was read. Stopping for lack of room, go on once the replies are out. Whether the client is still there. */
static bool work(Client *client) {
    for (;;) {
        while (has_room(client) && take(client)) {}
        bool is_done = has_room(client);
        if (!flush(client)) return false;
        if (is_done || client->waits_to_write) return true;
    }
}

/* Read what there is, as far as there is room. Whether anything came; a client that has gone away is hung up on. */
static bool hear(Client *client) {
    if (client->in_start) {
        memmove(client->in, client->in + client->in_start, client->in_end - client->in_start);
        client->in_end -= client->in_start;
        client->in_start = 0;
    }
    size_t before = client->in_end;
    for (int reads = 0; reads < READS_AT_ONCE && client->in_end < INPUT; reads++) {
        ssize_t got = receive(client, client->in + client->in_end, INPUT - client->in_end);
        if (got < 0 && errno == EAGAIN) break;
        if (got <= 0) { hang_up(client); return false; }
        client->in_end += got;
    }
    return client->in_end > before;
}

static void serve(Client *client) {
    if (client->has_shaken_hands || (client->has_shaken_hands = shake_hands(client) > 0)) {
        if (client->out_start < client->out_end || client->waits_to_write) {
            if (!flush(client) || client->waits_to_write || !work(client)) return;
            if (READS_AT_ONCE == 1) return;
        }
        while (hear(client)) if (!work(client) || READS_AT_ONCE == 1 || client->waits_to_write) return;
        return;
    }
    if (errno != EAGAIN) hang_up(client);
}

static void greet(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), yes = 1;
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    Client *client = malloc(sizeof *client); /* not calloc: most of the buffers is never touched */
    if (!client) die("malloc");
    memset(client, 0, offsetof(Client, in));
    client->fd = fd;
    begin_tls(client);
    forget_message(client);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
    REPLY(client, "220 sink.example ESMTP");
    serve(client); /* greets, once the handshake is done */
}

/* Control */

static void tell_counters(void) {
    char line[256];
    if (read(STDIN_FILENO, line, sizeof line) <= 0) exit(0);
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    double cpu = (now.tv_sec - cpu_at_reset.tv_sec) + (now.tv_nsec - cpu_at_reset.tv_nsec) / 1e9;
    printf("{\"messages\": %ld, \"recipients\": %ld, \"octets\": %ld, \"connections\": %ld, \"errors\": %ld, "
           "\"distinct\": %ld, \"duplicates\": %ld, \"cpu_seconds\": %.6f}\n",
           counters.messages, counters.recipients, counters.octets, counters.connections, counters.errors,
           counters.distinct, counters.duplicates, cpu);
    fflush(stdout);
    memset(&counters, 0, sizeof counters);
    memset(seen, 0, sizeof seen);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_at_reset);
}

static int start_listening(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) die("listen");
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("{\"port\": %d}\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void learn_extensions(int count, char **names) {
    char *end = greeting_of_ehlo;
    char *limit = greeting_of_ehlo + sizeof greeting_of_ehlo;
    for (int index = 0; index < count && limit - end > 100; index++) {
        end += snprintf(end, limit - end, "250-%.80s\r\n", index ? names[index] : "sink.example");
    }
    char *last = end - 2;
    while (last > greeting_of_ehlo && last[-1] != '\n') last--;
    last[3] = ' ';
}

int main(int argc, char **argv) {
#ifdef WITH_TLS
    if (argc < 3) { fprintf(stderr, "usage: tls_sink CERTIFICATE KEY [EXTENSION ...]\n"); return 2; }
    load_certificate(argv[1], argv[2]);
    argc -= 2, argv += 2;
#endif
    learn_extensions(argc, argv);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    int listener = start_listening();
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener}, events[EVENTS];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    event.data.ptr = NULL;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event)) die("stdin must be a pipe");
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int index = 0; index < ready; index++) {
            void *what = events[index].data.ptr;
            if (!what) tell_counters();
            else if (what == &listener) greet(listener);
            else serve(what);
        }
    }
}
