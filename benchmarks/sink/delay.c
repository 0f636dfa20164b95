/*
 * A TCP proxy that makes a distance: what comes in on one side goes out on the other a fixed time later, both ways.
 *
 *     delay TARGET_PORT RTT_MILLISECONDS
 *
 * It prints {"port": N} when it listens on 127.0.0.1, one line of JSON with its counters for each line on stdin (after
 * which they start at zero), and ends when stdin does. Bandwidth is not limited, only what waits in one direction of one
 * connection is (HELD), as a receive window would. The TCP handshake is between client and proxy and so not delayed: a
 * real connection at this distance takes one round trip more.
 *
 * round_trips is the longest chain of causes on one connection: a flight of the client's, an answer that was sent after
 * the flight had arrived at the server, a next flight that was sent after that answer had arrived at the client, and so
 * on. What is streamed without waiting adds nothing to it, save that the stream itself takes longer than a round trip.
 * An answer counts when it arrives, if the client is still there to take it. turns counts plain changes of direction as
 * the proxy sees them, of all connections together. Connections that are older than the counters are not counted.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { HELD = 64 * 1024 * 1024, AT_ONCE = 256 * 1024, EVENTS = 256 };

typedef struct Chunk {
    struct Chunk *next;
    int64_t due; /* nanoseconds */
    long depth;
    size_t length, sent; /* length 0: the end of the stream */
    char octets[];
} Chunk;

typedef struct {
    int from, to;
    Chunk *first, *last;
    size_t held;
    long delivered; /* the greatest depth that has arrived at the far end; -1 before anything has */
    bool has_ended, is_closed;
} Direction;

typedef struct Line {
    struct Line *next, *previous;
    Direction up, down; /* client to server, and back */
    int side_of_last_flight;
    bool is_broken, is_old;
} Line;

/* What epoll gives back: which end of which connection. */
typedef struct {
    Line *line;
    bool is_client;
} End;

static struct {
    long connections, round_trips, turns, octets_up, octets_down;
} counters;

static Line *lines;
static int epoll, timer;
static int64_t one_way;
static char scratch[AT_ONCE];

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* Counting */

static long depth_of_flight(const Line *line, bool from_client) {
    if (from_client) return line->down.delivered > 0 ? line->down.delivered : 0;
    return line->up.delivered + 1; /* the greeting, before which nothing was delivered, has 0 */
}

static void count_flight(Line *line, bool from_client, size_t length) {
    if (line->is_old) return;
    *(from_client ? &counters.octets_up : &counters.octets_down) += length;
    if (line->side_of_last_flight != from_client) counters.turns++;
    line->side_of_last_flight = from_client;
}

static void count_arrival(Line *line, bool to_client, long depth) {
    if (to_client && !line->up.has_ended && !line->is_old && depth > counters.round_trips) counters.round_trips = depth;
}

/* Moving octets */

static void watch(Line *line, bool is_client) {
    Direction *in = is_client ? &line->up : &line->down, *out = is_client ? &line->down : &line->up;
    bool has_overdue = out->first && out->first->due <= now();
    uint32_t wanted = (in->has_ended || in->held >= HELD ? 0 : EPOLLIN) | (has_overdue ? EPOLLOUT : 0);
    End *end = (End *)(line + 1) + is_client;
    struct epoll_event event = {.events = wanted, .data.ptr = end};
    epoll_ctl(epoll, EPOLL_CTL_MOD, in->from, &event);
}

static void take(Line *line, bool is_client) {
    Direction *way = is_client ? &line->up : &line->down;
    ssize_t got = recv(way->from, scratch, sizeof scratch, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) { line->is_broken = true; return; }
    Chunk *chunk = malloc(sizeof *chunk + got);
    if (!chunk) die("malloc");
    long depth = depth_of_flight(line, is_client);
    if (got) count_flight(line, is_client, got);
    *chunk = (Chunk){.due = now() + one_way, .depth = depth, .length = got};
    memcpy(chunk->octets, scratch, got);
    if (way->first) way->last->next = chunk;
    else way->first = chunk;
    way->last = chunk;
    way->held += got;
    way->has_ended = !got;
    if (way->has_ended || way->held >= HELD) watch(line, is_client);
}

/* Whether the far end has taken the whole chunk. */
static bool give(Line *line, Direction *way, Chunk *chunk) {
    while (chunk->sent < chunk->length) {
        ssize_t sent = send(way->to, chunk->octets + chunk->sent, chunk->length - chunk->sent, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN) line->is_broken = true;
            return false;
        }
        chunk->sent += sent;
    }
    if (!chunk->length) {
        shutdown(way->to, SHUT_WR);
        way->is_closed = true;
    }
    return true;
}

static void give_what_is_due(Line *line, bool to_client, int64_t time) {
    Direction *way = to_client ? &line->down : &line->up;
    bool was_full = way->held >= HELD;
    while (way->first && way->first->due <= time) {
        Chunk *chunk = way->first;
        if (!give(line, way, chunk)) { watch(line, to_client); return; }
        if (chunk->length && chunk->depth > way->delivered) {
            way->delivered = chunk->depth;
            count_arrival(line, to_client, chunk->depth);
        }
        way->first = chunk->next;
        way->held -= chunk->length;
        free(chunk);
    }
    if (was_full) watch(line, !to_client);
}

static void take_or_give(End *end, uint32_t events) {
    bool has_ended = (end->is_client ? &end->line->up : &end->line->down)->has_ended;
    if (!has_ended && (events & ~EPOLLOUT)) take(end->line, end->is_client);
    else if (events & ~EPOLLOUT) {
        /* Gone altogether: what is still on its way to it finds that out when it is due. */
        int fd = end->is_client ? end->line->up.from : end->line->down.from;
        epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
    }
    else watch(end->line, end->is_client); /* writable again */
}

/* Connections */

static void forget(Line *line) {
    for (int side = 0; side < 2; side++) {
        Direction *way = side ? &line->up : &line->down;
        for (Chunk *chunk = way->first, *next; chunk; chunk = next) {
            next = chunk->next;
            free(chunk);
        }
        close(way->from);
    }
    if (line->previous) line->previous->next = line->next;
    else lines = line->next;
    if (line->next) line->next->previous = line->previous;
    free(line);
}

static int prepare(int fd) {
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

static int connect_to(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) {
        close(fd);
        return -1;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void join(int listener, int target_port) {
    int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) return;
    int server = connect_to(target_port);
    if (server < 0) { close(client); return; }
    Line *line = calloc(1, sizeof *line + 2 * sizeof(End));
    if (!line) die("calloc");
    line->up = (Direction){.from = prepare(client), .to = server, .delivered = -1};
    line->down = (Direction){.from = prepare(server), .to = client, .delivered = -1};
    line->side_of_last_flight = -1;
    line->next = lines;
    if (lines) lines->previous = line;
    lines = line;
    counters.connections++;
    for (int is_client = 0; is_client < 2; is_client++) {
        End *end = (End *)(line + 1) + is_client;
        *end = (End){line, is_client};
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = end};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, is_client ? client : server, &event)) die("epoll_ctl");
    }
}

/* After each batch of events: give what is due, bury what is dead, set the alarm for what is due next. */
static void go_round(void) {
    int64_t time = now(), next_due = INT64_MAX;
    for (Line *line = lines, *next; line; line = next) {
        next = line->next;
        for (int side = 0; side < 2; side++) {
            Direction *way = side ? &line->down : &line->up;
            give_what_is_due(line, side, time);
            if (way->first && way->first->due > time && way->first->due < next_due) next_due = way->first->due;
        }
        if (line->is_broken || (line->up.is_closed && line->down.is_closed)) forget(line);
    }
    struct itimerspec alarm = {0};
    if (next_due != INT64_MAX) {
        alarm.it_value.tv_sec = next_due / 1000000000;
        alarm.it_value.tv_nsec = next_due % 1000000000;
    }
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &alarm, NULL);
}

/* Control */

static void tell_counters(void) {
    char line[256];
    if (read(STDIN_FILENO, line, sizeof line) <= 0) exit(0);
    printf("{\"connections\": %ld, \"round_trips\": %ld, \"turns\": %ld, \"octets_up\": %ld, \"octets_down\": %ld}\n",
           counters.connections, counters.round_trips, counters.turns, counters.octets_up, counters.octets_down);
    fflush(stdout);
    memset(&counters, 0, sizeof counters);
    for (Line *old = lines; old; old = old->next) old->is_old = true;
}

static int start_listening(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) die("listen");
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("{\"port\": %d}\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void add(int fd, void *what) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
}

int main(int argc, char **argv) {
    if (argc != 3) { fprintf(stderr, "usage: delay TARGET_PORT RTT_MILLISECONDS\n"); return 2; }
    int target_port = atoi(argv[1]);
    one_way = (int64_t)(atof(argv[2]) * 1e6 / 2);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    int listener = start_listening();
    struct epoll_event events[EVENTS];
    add(listener, &listener);
    add(timer, &timer);
    add(STDIN_FILENO, NULL);
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int index = 0; index < ready; index++) {
            void *what = events[index].data.ptr;
            uint64_t expirations;
            if (!what) tell_counters();
            else if (what == &listener) join(listener, target_port);
            else if (what == &timer) (void)!read(timer, &expirations, sizeof expirations);
            else take_or_give(what, events[index].events);
        }
        go_round();
    }
}
