/* Sets a process' wall clock off by the seconds that stand, as 8 bytes, in the file WALL_CLOCK_OFFSET names; to be
 * preloaded. The monotonic clock and all waits are left as they are: libfaketime 0.9.10, told to leave the monotonic
 * clock alone, makes timed waits wrong (clock_nanosleep fails with EINVAL), and a service that waits wrongly is slow. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

typedef int (*look)(clockid_t, struct timespec *);
static const volatile int64_t *offset_seconds;
static look real_look;

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("WALL_CLOCK_OFFSET");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    void *found = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    offset_seconds = found == MAP_FAILED ? NULL : found;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (!real_look)
        real_look = (look)dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real_look(clock, now);
    if (!failed && offset_seconds && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += *offset_seconds;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec found;
    (void)zone;
    int failed = clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *out)
{
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (out)
        *out = found.tv_sec;
    return found.tv_sec;
}
