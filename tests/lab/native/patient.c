/*
 * LD_PRELOAD for the machine's nc: a connect takes as long as it takes, and with ZONELAB_QUIET nothing is said about
 * one that failed. illumos' nc bounds only the waiting for data by -w, the machine's the connect as well; and it says
 * why without being asked when the address is a path.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <err.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
	int result = (int)syscall(SYS_connect, fd, address, length), problem = 0;
	struct pollfd wait = {fd, POLLOUT, 0};
	socklen_t size = sizeof(problem);

	if (result == 0 || errno != EINPROGRESS)
		return result;
	while (poll(&wait, 1, -1) < 0)
		if (errno != EINTR)
			return -1;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) < 0)
		return -1;
	errno = problem;
	return problem == 0 ? 0 : -1;
}

void warn(const char *form, ...)
{
	va_list arguments;

	if (getenv("ZONELAB_QUIET") != NULL)
		return;
	va_start(arguments, form);
	vwarn(form, arguments);
	va_end(arguments);
}
