/*
 * What a guest does in its share, and when the others see it. All times are the monotonic clock's.
 *
 *     guest single SHARE COUNT SIZE PAUSE_MS SEED TARGET...
 *         One file after the other. Prints for each the microseconds from its close until it has its name in
 *         the last of the targets; inotify tells, so that waiting costs nothing.
 *     guest burst SHARE COUNT SIZE PER_DIRECTORY SEED TARGET...
 *         Writes all, and waits until every target has them, each of its whole size. Prints the seconds
 *         that writing took, and the seconds from the first write to the last arrival.
 *     guest write SHARE COUNT SIZE PER_DIRECTORY SEED
 *         Writes only.
 *     guest move SHARE FILE NAME TARGET...
 *         Moves a file into the share. Prints the microseconds until it has its name in the last of the targets.
 *
 * Contents differ from file to file and from seed to seed, since clamd remembers what was clean.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST_TARGETS = 2048, PATIENCE_S = 420 };

static uint64_t state;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec / 1e9;
}

static void pause_ms(double ms) {
  struct timespec left = {ms / 1000, (ms - (long)(ms / 1000) * 1000) * 1e6};
  nanosleep(&left, NULL);
}

static void fill(unsigned char *buffer, long size) {
  for (long i = 0; i < size; i++) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    buffer[i] = state;
  }
}

static void write_file(const char *path, unsigned char *buffer, long size) {
  fill(buffer, size);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) die(path);
  for (long done = 0; done < size;) {
    ssize_t count = write(fd, buffer + done, size - done);
    if (count < 0) die("write");
    done += count;
  }
  if (close(fd) < 0) die("close");
}

static void name_of(char *path, const char *top, const char *seed, long number, long per_directory) {
  snprintf(path, PATH_MAX, "%s/%s/%ld/%ld", top, seed, number / per_directory, number);
}

static void write_all(char **arguments, unsigned char *buffer) {
  long count = atol(arguments[1]), size = atol(arguments[2]), per_directory = atol(arguments[3]);
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/%s", arguments[0], arguments[4]);
  if (mkdir(path, 0755) < 0) die(path);
  for (long i = 0; i < count; i++) {
    if (i % per_directory == 0) {
      snprintf(path, sizeof path, "%s/%s/%ld", arguments[0], arguments[4], i / per_directory);
      if (mkdir(path, 0755) < 0) die(path);
    }
    name_of(path, arguments[0], arguments[4], i, per_directory);
    write_file(path, buffer, size);
  }
}

/* Each file is looked for until it is there, one after the other: hardly more than one look each. */
static void await_all(char **arguments, char **targets, int target_count) {
  long count = atol(arguments[1]), size = atol(arguments[2]), per_directory = atol(arguments[3]);
  double until = seconds() + PATIENCE_S;
  for (int target = 0; target < target_count; target++) {
    for (long i = 0; i < count;) {
      char path[PATH_MAX];
      struct stat status;
      name_of(path, targets[target], arguments[4], i, per_directory);
      if (lstat(path, &status) == 0 && status.st_size == size) {
        i++;
        continue;
      }
      if (seconds() > until) {
        fprintf(stderr, "%s did not arrive\n", path);
        exit(1);
      }
      pause_ms(2);
    }
  }
}

static void burst(char **arguments, char **targets, int target_count, unsigned char *buffer) {
  double begin = seconds();
  write_all(arguments, buffer);
  double written = seconds();
  await_all(arguments, targets, target_count);
  printf("%.6f %.6f\n", written - begin, seconds() - begin);
}

/* Until each of the watches has told of `name`. */
static void await_name(int queue, const char *name, int target_count) {
  char events[16384] __attribute__((aligned(8)));
  for (int missing = target_count; missing > 0;) {
    struct pollfd waiting = {queue, POLLIN, 0};
    if (poll(&waiting, 1, PATIENCE_S * 1000) <= 0) {
      fprintf(stderr, "%s did not arrive\n", name);
      exit(1);
    }
    ssize_t length = read(queue, events, sizeof events);
    if (length < 0 && errno != EAGAIN) die("read");
    for (char *at = events; at < events + length;) {
      struct inotify_event *event = (struct inotify_event *)at;
      if (event->len > 0 && strcmp(event->name, name) == 0) missing--;
      at += sizeof *event + event->len;
    }
  }
}

static int watch_all(char **targets, int target_count) {
  int queue = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (queue < 0) die("inotify_init1");
  for (int i = 0; i < target_count; i++) {
    if (inotify_add_watch(queue, targets[i], IN_CREATE | IN_MOVED_TO) < 0) die(targets[i]);
  }
  return queue;
}

static void move(char **arguments, char **targets, int target_count) {
  char path[PATH_MAX];
  int queue = watch_all(targets, target_count);
  snprintf(path, sizeof path, "%s/%s", arguments[0], arguments[2]);
  if (rename(arguments[1], path) < 0) die(path);
  double moved = seconds();
  await_name(queue, arguments[2], target_count);
  printf("%.1f\n", (seconds() - moved) * 1e6);
}

static void single(char **arguments, char **targets, int target_count, unsigned char *buffer) {
  long count = atol(arguments[1]), size = atol(arguments[2]);
  double pause = atof(arguments[3]);
  int queue = watch_all(targets, target_count);
  for (long i = 0; i < count; i++) {
    char name[NAME_MAX], path[PATH_MAX];
    snprintf(name, sizeof name, "%s-%ld", arguments[4], i);
    snprintf(path, sizeof path, "%s/%s", arguments[0], name);
    write_file(path, buffer, size);
    double closed = seconds();
    await_name(queue, name, target_count);
    printf("%.1f\n", (seconds() - closed) * 1e6);
    pause_ms(pause);
  }
}

int main(int count, char **arguments) {
  if (count > 5 && strcmp(arguments[1], "move") == 0) {
    move(arguments + 2, arguments + 5, count - 5);
    return 0;
  }
  if (count < 7) return 2;
  char **rest = arguments + 2, **targets = arguments + 7;
  int target_count = count - 7;
  if (target_count > MOST_TARGETS) return 2;
  state = strtoull(arguments[6], NULL, 10) * 0x9e3779b97f4a7c15u + 1;
  long size = atol(arguments[4]);
  unsigned char *buffer = malloc(size + 1);
  if (buffer == NULL) die("malloc");
  if (strcmp(arguments[1], "single") == 0) single(rest, targets, target_count, buffer);
  else if (strcmp(arguments[1], "burst") == 0) burst(rest, targets, target_count, buffer);
  else if (strcmp(arguments[1], "write") == 0) write_all(rest, buffer);
  else return 2;
  return 0;
}
