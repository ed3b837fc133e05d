/*
 * What has to happen to one file at the least: an event, a clone in staging, a verdict by FILDES in a session,
 * and for each target a clone with owner, mode and time that gets its name. One file at a time, nothing else.
 *
 *     publish STAGING SOURCE SOCKET COUNT SIZE PAUSE QUIET SEED TARGET...
 *
 * Prints for each file the microseconds from its close until it has its name in the last target, without the QUIET
 * milliseconds that it waits after the close. PAUSE milliseconds pass between two files: a processor that was idle, and
 * a scanner that slept, are slower. With `-` for SOCKET nothing is scanned.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int must(int result, const char *what) {
  if (result < 0) die(what);
  return result;
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec / 1e9;
}

static int connect_to(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  int fd = must(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  must(connect(fd, (struct sockaddr *)&address, sizeof address), "connect");
  return fd;
}

static void scan(int session, int file, int is_first) {
  /* The first command brings the session along; clamd wants one more byte with the descriptor (the string's NUL). */
  char both[] = "zIDSESSION\0zFILDES\0", *command = is_first ? both : both + sizeof "zIDSESSION";
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr header;
  } control = {0};
  struct iovec vector = {command, both + sizeof both - command};
  struct msghdr message = {.msg_iov = &vector,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &file, sizeof file);
  must(sendmsg(session, &message, 0), "sendmsg");
  char reply[512];
  size_t got = 0;
  do {
    got += must(recv(session, reply + got, sizeof reply - got, 0), "recv");
    if (got == 0) exit(1);
  } while (reply[got - 1] != '\0');
  if (strstr(reply, ": OK") == NULL) {
    fprintf(stderr, "unexpected: %s\n", reply);
    exit(1);
  }
}

static void name_it(int file, int directory, const char *name) {
  char magic[64];
  snprintf(magic, sizeof magic, "/proc/self/fd/%d", file);
  must(linkat(AT_FDCWD, magic, directory, name, AT_SYMLINK_FOLLOW), "linkat");
}

static void publish(int staging, int staged, const struct stat *like, int target, const char *name) {
  struct stat there;
  if (fstatat(target, name, &there, AT_SYMLINK_NOFOLLOW) == 0) exit(1);
  int file = must(openat(staging, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), "O_TMPFILE");
  must(ioctl(file, FICLONE, staged), "FICLONE");
  must(fchown(file, like->st_uid, like->st_gid), "fchown");
  must(fchmod(file, like->st_mode & 0777), "fchmod");
  struct timespec times[2] = {{0, UTIME_OMIT}, like->st_mtim};
  must(futimens(file, times), "futimens");
  name_it(file, target, name);
  must(fstat(file, &there), "fstat");
  close(file);
}

static void pause_ms(double ms) {
  struct timespec left = {ms / 1000, (ms - (long)(ms / 1000) * 1000) * 1e6};
  nanosleep(&left, NULL);
}

static uint64_t state;

static void write_file(int directory, const char *name, unsigned char *buffer, long size) {
  for (long i = 0; i < size; i++) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    buffer[i] = state;
  }
  int fd = must(openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), name);
  if (write(fd, buffer, size) != size) die("write");
  close(fd);
}

int main(int count, char **arguments) {
  if (count < 10) return 2;
  int staging = must(open(arguments[1], O_PATH | O_DIRECTORY), arguments[1]);
  int source = must(open(arguments[2], O_PATH | O_DIRECTORY), arguments[2]);
  int session = strcmp(arguments[3], "-") == 0 ? -1 : connect_to(arguments[3]);
  long files = atol(arguments[4]), size = atol(arguments[5]);
  double pause = atof(arguments[6]), quiet = atof(arguments[7]);
  state = strtoull(arguments[8], NULL, 10) * 0x9e3779b97f4a7c15u + 1;
  int targets[64], target_count = 0;
  for (int i = 9; i < count && target_count < 64; i++) {
    targets[target_count++] = must(open(arguments[i], O_PATH | O_DIRECTORY), arguments[i]);
  }
  int queue = must(inotify_init1(IN_CLOEXEC), "inotify_init1");
  must(inotify_add_watch(queue, arguments[2], IN_CLOSE_WRITE), "inotify_add_watch");
  unsigned char *buffer = malloc(size);
  for (long i = 0; i < files; i++) {
    char name[NAME_MAX], event[4096];
    snprintf(name, sizeof name, "%s-%ld", arguments[8], i);
    write_file(source, name, buffer, size);
    double closed = seconds();
    must(read(queue, event, sizeof event), "read");
    pause_ms(quiet);
    struct stat before, after;
    int opened = must(openat(source, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), name);
    must(fstat(opened, &before), "fstat");
    int staged = must(openat(staging, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), "O_TMPFILE");
    must(ioctl(staged, FICLONE, opened), "FICLONE");
    must(fstat(opened, &after), "fstat");
    if (session >= 0) scan(session, staged, i == 0);
    for (int target = 0; target < target_count; target++) {
      publish(staging, staged, &before, targets[target], name);
    }
    printf("%.1f\n", (seconds() - closed) * 1e6 - quiet * 1000);
    close(opened);
    close(staged);
    pause_ms(pause);
  }
  return 0;
}
