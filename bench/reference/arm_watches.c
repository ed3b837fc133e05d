/*
 * Watches every directory of a tree: openat and inotify_add_watch on what was opened, reading each directory for
 * those below it.
 *
 *     arm_watches ROOT
 *
 * Prints the number of directories and the seconds that this took.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

static const unsigned MASK = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_ATTRIB |
                             IN_MODIFY | IN_ONLYDIR | IN_EXCL_UNLINK;
static int queue;
static long directories;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void arm(int fd) {
  char magic[64];
  snprintf(magic, sizeof magic, "/proc/self/fd/%d", fd);
  if (inotify_add_watch(queue, magic, MASK) < 0) die("inotify_add_watch");
  directories++;
  DIR *listing = fdopendir(fd);
  if (listing == NULL) die("fdopendir");
  for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
    if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    int below = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below < 0) die(entry->d_name);
    arm(below);
  }
  closedir(listing);
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  struct timespec begin, end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  queue = inotify_init1(IN_CLOEXEC);
  int root = open(arguments[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) die(arguments[1]);
  arm(root);
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%ld %.6f\n", directories, (end.tv_sec - begin.tv_sec) + (end.tv_nsec - begin.tv_nsec) / 1e9);
  return 0;
}
