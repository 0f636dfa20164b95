/* libESMTP, which pipelines within a message. One session over one connection; the arguments and the answer are those
 * of job.py. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <libesmtp.h> /* last: it relies on the others */

static const char sender[] = "ann@example.com";
static const char line[] = "The quick brown fox jumps over the lazy dog, again and again.\r\n";

static const char *host = "127.0.0.1", *recipient = "n{}@example.com";
static int port, count = 1, warmup, size = 2048, recipients = 1;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static void read_arguments(int argc, char **argv) {
    for (int index = 1; index + 1 < argc; index += 2) {
        const char *name = argv[index] + 2, *value = argv[index + 1];
        if (!strcmp(name, "host")) host = value;
        else if (!strcmp(name, "recipient")) recipient = value;
        else if (!strcmp(name, "port")) port = atoi(value);
        else if (!strcmp(name, "count")) count = atoi(value);
        else if (!strcmp(name, "warmup")) warmup = atoi(value);
        else if (!strcmp(name, "size")) size = atoi(value);
        else if (!strcmp(name, "recipients")) recipients = atoi(value);
    }
}

static char *content(int number) {
    char *text = malloc(size + sizeof line);
    int length = sprintf(text, "From: %s\r\nTo: bob@example.org\r\nSubject: Number %d\r\n\r\n", sender, number);
    while (length < size) {
        strcpy(text + length, line);
        length += sizeof line - 1;
    }
    strcpy(text + size - 2, "\r\n");
    return text;
}

static void address(smtp_message_t message, int number) {
    char text[256];
    const char *braces = strstr(recipient, "{}");
    for (int index = 0; index < recipients; index++) {
        if (recipients > 1) sprintf(text, "user%d@example.com", index);
        else if (braces) snprintf(text, sizeof text, "%.*s%d%s", (int)(braces - recipient), recipient, number, braces + 2);
        else snprintf(text, sizeof text, "%s", recipient);
        smtp_add_recipient(message, text);
    }
}

static void check(smtp_message_t message, void *accepted) {
    if (smtp_message_transfer_status(message)->code / 100 == 2) ++*(int *)accepted;
}

static void run(int first, int number_of, char **contents, double *wall, double *cpu) {
    char server[300];
    int accepted = 0;
    snprintf(server, sizeof server, "%s:%d", host, port);
    *cpu = cpu_seconds();
    *wall = seconds();
    smtp_session_t session = smtp_create_session();
    smtp_set_server(session, server);
    smtp_set_hostname(session, "localhost");
    for (int number = first; number < first + number_of; number++) {
        smtp_message_t message = smtp_add_message(session);
        smtp_set_reverse_path(message, sender);
        smtp_set_message_str(message, contents[number % 100]);
        address(message, number);
    }
    int is_done = smtp_start_session(session);
    *wall = seconds() - *wall;
    *cpu = cpu_seconds() - *cpu;
    smtp_enumerate_messages(session, check, &accepted);
    if (!is_done || accepted != number_of) {
        fprintf(stderr, "%d of %d messages were accepted\n", accepted, number_of);
        exit(1);
    }
    smtp_destroy_session(session);
}

int main(int argc, char **argv) {
    char *contents[100];
    double wall, cpu;
    read_arguments(argc, argv);
    for (int index = 0; index < 100; index++) contents[index] = content(index);
    if (warmup) run(count, warmup, contents, &wall, &cpu);
    run(0, count, contents, &wall, &cpu);
    printf("{\"messages\": %d, \"seconds\": %.9f, \"cpu_seconds\": %.9f, \"peak_growth\": 0, \"memory\": []}\n",
           count, wall, cpu);
}
