/*
 * Sends files to clamd, or to whatever speaks like it, by INSTREAM over a Unix socket, and prints the seconds that
 * this took: the same client for clamd itself and for the proxy in front of it.
 *
 *     instream_client SOCKET BYTES FILES LANES SEED
 *
 * Each file has content of its own, since clamd remembers what was clean; LANES run side by side.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 1 << 20 };

static const char *path;
static long bytes, files, lanes;
static uint64_t seed;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void send_all(int fd, const char *data, size_t length) {
  while (length > 0) {
    ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
    if (sent <= 0) die("send");
    data += sent;
    length -= sent;
  }
}

static void scan(char *buffer, uint64_t number) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) die("connect");
  send_all(fd, "zINSTREAM", sizeof "zINSTREAM"); /* with its NUL */
  for (long left = bytes; left > 0;) {
    uint32_t length = left < CHUNK ? left : CHUNK;
    uint32_t header = htonl(length);
    memcpy(buffer, &header, 4);
    memcpy(buffer + 4, &number, sizeof number); /* this makes it a file of its own */
    send_all(fd, buffer, length + 4);
    left -= length;
  }
  send_all(fd, "\0\0\0", 4);
  char reply[256] = "";
  size_t got = 0;
  while (got < sizeof reply - 1) {
    ssize_t count = read(fd, reply + got, sizeof reply - 1 - got);
    if (count <= 0) break;
    got += count;
    if (reply[got - 1] == '\0') break;
  }
  if (strcmp(reply, "stream: OK") != 0) {
    fprintf(stderr, "unexpected reply: %s\n", reply);
    exit(1);
  }
  close(fd);
}

static void *lane(void *argument) {
  long first = (long)argument;
  char *buffer = malloc(CHUNK + 4);
  uint64_t state = seed * 0x9e3779b97f4a7c15u + first + 1;
  for (long i = 0; i < CHUNK + 4; i++) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    buffer[i] = state;
  }
  for (long i = first; i < files; i += lanes) scan(buffer, state + i);
  free(buffer);
  return NULL;
}

int main(int count, char **arguments) {
  if (count != 6) return 2;
  path = arguments[1];
  bytes = atol(arguments[2]);
  files = atol(arguments[3]);
  lanes = atol(arguments[4]);
  seed = strtoull(arguments[5], NULL, 10);
  struct timespec begin, end;
  pthread_t threads[64];
  if (lanes < 1 || lanes > 64) return 2;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (long i = 0; i < lanes; i++) pthread_create(&threads[i], NULL, lane, (void *)i);
  for (long i = 0; i < lanes; i++) pthread_join(threads[i], NULL);
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%.6f\n", (end.tv_sec - begin.tv_sec) + (end.tv_nsec - begin.tv_nsec) / 1e9);
  return 0;
}
