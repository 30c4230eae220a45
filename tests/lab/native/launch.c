/*
 * zonelab's launcher: what a caller starts when it starts `dladm`. One static binary under every command's name.
 *
 * It finds the lab's door relative to its own file, because a caller may clear the environment; hands over its argument
 * list, folder, environment and its three standard files; and waits. The server answers either with an exit status or
 * with "become": turn into this program, here or inside a zone.
 *
 * to the server    u32 length, then words: kind, closed files, folder, number of arguments, arguments, environment
 * from the server  one letter, u32 length, then words. E: status.  B: flags, folder, number of arguments, arguments,
 *                  environment; a pidfd travels along when it is inside a zone, and then our wait status goes back;
 *                  flag "w": the descriptor is a network to become the program on.
 *                  I, D: what a terminal or an administrator sends is ignored from now on, or no more; a byte goes back,
 *                  and another letter follows.
 */
#define _GNU_SOURCE
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

extern char **environ;

static const char *const doors[] = {"../lib/zonelab/door", "../door"};

void die(const char *what)
{
	dprintf(2, "zonelab: %s: %s\n", what, strerror(errno));
	_exit(125);
}

void add_word(struct words *words, const char *text)
{
	size_t length = strlen(text) + 1;

	if (words->length + length > words->room) {
		words->room = (words->length + length) * 2 + 4096;
		words->bytes = realloc(words->bytes, words->room);
		if (words->bytes == NULL)
			die("memory");
	}
	memcpy(words->bytes + words->length, text, length);
	words->length += length;
}

char *next_word(char **cursor, char *end)
{
	char *word = *cursor;

	if (word >= end)
		return NULL;
	*cursor = word + strlen(word) + 1;
	return word;
}

static int connect_door(const char *folder)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int door = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (door < 0)
		die("socket");
	for (size_t i = 0; i < sizeof(doors) / sizeof(doors[0]); i++) {
		int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", folder, doors[i]);

		if (length < (int)sizeof(address.sun_path) &&
		    connect(door, (struct sockaddr *)&address, sizeof(address)) == 0)
			return door;
	}
	die("no lab answers here (its server is gone, or this is not a lab host)");
}

/* Descriptors 0, 1 and 2 always travel; a closed one is sent as /dev/null and named in `closed`. */
static void standard_files(int files[3], char closed[4])
{
	int count = 0;

	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) < 0) {
			int null = open("/dev/null", O_RDWR);

			closed[count++] = (char)('0' + fd);
			if (null != fd && null >= 0)
				dup2(null, fd);
		}
		files[fd] = fd;
	}
	closed[count] = 0;
}

static void send_request(int door, struct words *body, int files[3])
{
	uint32_t length = (uint32_t)body->length;
	struct iovec parts[2] = {{&length, sizeof(length)}, {body->bytes, body->length}};
	char control[CMSG_SPACE(3 * sizeof(int))] = {0};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	size_t total = sizeof(length) + body->length;
	ssize_t sent;

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(3 * sizeof(int));
	memcpy(CMSG_DATA(header), files, 3 * sizeof(int));
	sent = sendmsg(door, &message, MSG_NOSIGNAL);
	if (sent < (ssize_t)sizeof(length))
		die("sending the request");
	while ((size_t)sent < total) {
		ssize_t more = send(door, body->bytes + sent - sizeof(length), total - (size_t)sent, MSG_NOSIGNAL);

		if (more <= 0)
			die("sending the request");
		sent += more;
	}
}

static void receive(int door, char *into, size_t length)
{
	while (length > 0) {
		ssize_t got = recv(door, into, length, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			if (got == 0)
				errno = ECONNRESET;
			die("the lab's server went away");
		}
		into += got;
		length -= (size_t)got;
	}
}

/* The first byte of an answer; a descriptor that travels with it lands in `passed`. */
static char receive_letter(int door, int *passed)
{
	char letter;
	struct iovec part = {&letter, 1};
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *header;
	ssize_t got;

	do
		got = recvmsg(door, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got <= 0) {
		if (got == 0)
			errno = ECONNRESET;
		die("the lab's server went away");
	}
	header = CMSG_FIRSTHDR(&message);
	if (header != NULL && header->cmsg_type == SCM_RIGHTS)
		memcpy(passed, CMSG_DATA(header), sizeof(int));
	return letter;
}

/* zoneadm does so while it waits for a hook [zones 5.5]. */
static void heed(int door, int ignored)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP};
	static void (*before[4])(int);

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (ignored)
			before[i] = signal(numbers[i], SIG_IGN);
		else
			signal(numbers[i], before[i]);
	}
	if (send(door, "", 1, MSG_NOSIGNAL) < 0)
		die("the lab's server went away");
}

static int become(int door, int zone, char *body, size_t length)
{
	char *cursor = body, *end = body + length;
	char *flags = next_word(&cursor, end), *cwd = next_word(&cursor, end), *count = next_word(&cursor, end);
	long argc = count == NULL ? 0 : strtol(count, NULL, 10);
	char **argv = calloc(length + 1, sizeof(char *)), **environment = calloc(length + 1, sizeof(char *));
	int status;

	if (argv == NULL || environment == NULL || argc < 1)
		die("a malformed answer");
	for (long i = 0; i < argc; i++)
		argv[i] = next_word(&cursor, end);
	for (size_t i = 0; (environment[i] = next_word(&cursor, end)) != NULL; i++)
		;
	if (zone >= 0 && strchr(flags, 'w') != NULL) {
		if (setns(zone, CLONE_NEWNET) < 0)
			die("cannot enter the network");
		close(zone);
		zone = -1;
	}
	if (zone < 0) {
		if (strchr(flags, 'e') == NULL)
			environment = environ;
		execvpe(argv[0], argv, environment);
		dprintf(2, "%s: %s\n", argv[0], strerror(errno));
		return errno == ENOENT ? 127 : 126;
	}
	status = run_inside(zone, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID, cwd, argv, environment,
	    strchr(flags, 'n') != NULL, door);
	if (send(door, &status, sizeof(status), MSG_NOSIGNAL) < 0)
		return 1;
	/* The server closes when its journal has the line: whoever sees us end finds it there. */
	while (recv(door, body, 1, 0) < 0 && errno == EINTR)
		;
	/* A command killed by a signal gives 0 [zones 7]. */
	return (status & 0x7f) == 0 ? (status >> 8) & 0xff : 0;
}

int main(int argc, char **argv)
{
	char self[4096], folder[4096], closed[4], number[16], *name, *body;
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int door, zone = -1, files[3];
	struct words request = {0};
	uint32_t size;
	char letter;

	if (length < 0)
		die("/proc/self/exe");
	self[length] = 0;
	name = strrchr(self, '/') + 1;
	if (strcmp(name, "zonelab-init") == 0)
		return main_init(argc, argv);
	if (strcmp(name, "zonelab-enter") == 0)
		return main_enter(argc, argv);
	memcpy(folder, self, (size_t)(name - self));
	folder[name - self - 1] = 0;

	standard_files(files, closed);
	door = connect_door(folder);
	add_word(&request, "run");
	add_word(&request, closed);
	{
		char *cwd = getcwd(NULL, 0);

		add_word(&request, cwd == NULL ? "/" : cwd);
	}
	snprintf(number, sizeof(number), "%d", argc < 1 ? 1 : argc);
	add_word(&request, number);
	add_word(&request, name);
	for (int i = 1; i < argc; i++)
		add_word(&request, argv[i]);
	for (char **each = environ; *each != NULL; each++)
		add_word(&request, *each);
	send_request(door, &request, files);

	while ((letter = receive_letter(door, &zone)) == 'I' || letter == 'D')
		heed(door, letter == 'I');
	receive(door, (char *)&size, sizeof(size));
	body = malloc(size + 1);
	if (body == NULL)
		die("memory");
	receive(door, body, size);
	body[size] = 0;
	if (letter == 'E' && size == 1)
		return (unsigned char)body[0];
	if (letter == 'B')
		return become(door, zone, body, size);
	errno = EPROTO;
	die("a malformed answer");
}
