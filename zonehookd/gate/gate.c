/*
 * The gate: what a brand's hooks run first (zones sheet 5.2, 5.4). It asks zonehookd whether a zone may get ready, be
 * halted or be uninstalled, says what is to be said, and becomes the brand's own hook with exactly the arguments that
 * it would have got, so what the hook prints and how it ends are its own.
 *
 *     STATE/gate RUN HOOK ZONE -- ORIGINAL WORDS...     the brand has a hook of its own
 *     STATE/gate RUN HOOK ZONE -[WORD]                  it has none; any word that begins with one dash
 *
 * zoneadmd appends STATE CMD [ALTROOT], zoneadm the arguments after `uninstall`. STATE is our own folder and RUN the
 * daemon's; both are root's alone. Exit status: the original's; 0 without one; 1 denied; 64 wrong usage; 126 or 127
 * when the original cannot be run.
 *
 * Nothing here waits longer than two seconds in all: zoneadmd holds the zone's lock meanwhile (trap 24). When the
 * daemon says nothing in time, the file STATE/guard decides, which it wrote when it could. A halt is never refused by
 * us alone, and none that a zone, the host or a failed boot began is even asked about (trap 28).
 *
 * Who waited in vain leaves RUN/gate.hung behind, and the boots and halts of the next seconds do not wait: a reboot is
 * two questions, and a host has many zones. The daemon removes it when it hears anybody. An uninstall always asks.
 *
 * Plain POSIX.1-2008. Descriptors 0 to 2 may be anything here, also closed (5.5): none of ours is ever below 3.
 */
#define _XOPEN_SOURCE 700
#define __EXTENSIONS__ 1	/* illumos: with what else its headers have */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	ASK_MS = 2000,
	NOTE_MS = 20,
	HUNG_S = 5,
	PAUSE_MS = 5,
	PIECE = 512,
	ANSWER_MAX = 64 * 1024,
	LOG_MAX = 64 * 1024,
	FILE_MAX = 4 * 1024 * 1024,
	LINE_MAX_BYTES = 2048,
	PERMIT_MAX_S = 24 * 60 * 60 + 1,	/* longer to go: given by a clock that went wrong */
	ZONE_MAX = 64,
	EXIT_DENIED = 1,
	EXIT_USAGE = 64
};

struct question {
	const char *word;	/* ready, halt, uninstall or note */
	const char *zone, *hook, *state, *command;
	int out;		/* where people read what we say */
};

static const char *state_folder, *run_folder;
static long long began_ms;
static struct sigaction old_pipe;

static long long
now_ms(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
		return (0);
	return ((long long)now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

static int
left_ms(int limit_ms)
{
	long long left = began_ms + limit_ms - now_ms();

	return (left < 0 ? 0 : left > limit_ms ? limit_ms : (int)left);
}

static int
ready_for(int fd, short what, int limit_ms)
{
	struct pollfd one;

	for (;;) {
		int got;

		one.fd = fd;
		one.events = what;
		one.revents = 0;
		got = poll(&one, 1, left_ms(limit_ms));
		if (got > 0)
			return (1);
		if (got == 0 || errno != EINTR)
			return (0);
	}
}

/* Never longer than is left of our time: who asked for this may read nothing, and holds the zone's lock. */
static void
put(int fd, const char *text, size_t length)
{
	while (length > 0 && ready_for(fd, POLLOUT, ASK_MS)) {
		ssize_t done = write(fd, text, length < PIECE ? length : PIECE);	/* so much fits when any does */

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return;
		text += done;
		length -= (size_t)done;
	}
}

static void
say(int fd, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	va_list words;
	int length;

	va_start(words, format);
	length = vsnprintf(line, sizeof (line) - 1, format, words);
	va_end(words);
	if (length < 0)
		return;
	if (length > (int)sizeof (line) - 2)
		length = (int)sizeof (line) - 2;
	line[length] = '\n';
	put(fd, line, (size_t)length + 1);
}

/* Text of others, line by line: what could steer a terminal is shown as a question mark. */
static void
show(int fd, char *text, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < ' ' && c != '\n' && c != '\t') || c == 127)
			text[i] = '?';
	}
	put(fd, text, length);
	if (length > 0 && text[length - 1] != '\n')
		put(fd, "\n", 1);
}

/* Ours stay clear of 0, 1 and 2, which belong to whoever comes after us. */
static int
clear_of_streams(int fd)
{
	int moved;

	if (fd < 0 || fd > 2) {
		if (fd > 2)
			(void) fcntl(fd, F_SETFD, FD_CLOEXEC);
		return (fd);
	}
	moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	(void) close(fd);
	return (moved);
}

static int
join(char *into, size_t size, const char *folder, const char *name)
{
	int length = snprintf(into, size, "%s/%s", folder, name);

	return (length > 0 && (size_t)length < size);
}

static int
ours_alone(const struct stat *found)
{
	return (found->st_uid == geteuid() && (found->st_mode & (S_IWGRP | S_IWOTH)) == 0);
}

static int
trusted_folder(const char *path)
{
	struct stat found;

	return (lstat(path, &found) == 0 && S_ISDIR(found.st_mode) && ours_alone(&found));
}

static int
is_number(const char *word)
{
	return (*word != '\0' && strspn(word, "0123456789") == strlen(word) && strlen(word) < 5);
}

static int
is_zone_name(const char *name)
{
	size_t i, length = strlen(name);

	for (i = 0; i < length; i++)
		if ((unsigned char)name[i] <= ' ' || name[i] == 127)
			return (0);
	return (length > 0 && length < ZONE_MAX);
}

/* ---- asking ---- */

/* A connected descriptor; or -1, and `why` says what is the matter. */
static int
reach(int limit_ms, const char **why)
{
	struct sockaddr_un place;
	struct stat found;
	int fd, error = 0;
	socklen_t size = sizeof (error);

	(void) memset(&place, 0, sizeof (place));
	place.sun_family = AF_UNIX;
	*why = "no-socket";
	if (!join(place.sun_path, sizeof (place.sun_path), run_folder, "gate.sock") || !trusted_folder(run_folder) ||
	    lstat(place.sun_path, &found) != 0)
		return (-1);
	*why = "planted";
	if (!S_ISSOCK(found.st_mode) || found.st_uid != geteuid())
		return (-1);
	*why = "refused";
	fd = clear_of_streams(socket(AF_UNIX, SOCK_STREAM, 0));
	if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
		return (-1);
	while (connect(fd, (struct sockaddr *)&place, sizeof (place)) != 0) {
		if (errno == EISCONN)
			break;
		if (errno == EAGAIN && left_ms(limit_ms) > PAUSE_MS) {	/* its queue is full */
			(void) poll(NULL, 0, PAUSE_MS);
			continue;
		}
		if (errno == EINPROGRESS || errno == EINTR || errno == EALREADY) {
			if (ready_for(fd, POLLOUT, limit_ms) &&
			    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
				break;
			*why = error == 0 ? "time-out" : "refused";
		} else if (errno == EAGAIN) {
			*why = "time-out";
		}
		(void) close(fd);
		return (-1);
	}
	return (fd);
}

static int
send_line(int fd, const struct question *about, int limit_ms)
{
	char line[LINE_MAX_BYTES];
	int length = snprintf(line, sizeof (line), "1 %s %s %s %s %s\n", about->word, about->zone, about->hook,
	    about->state, about->command);
	int sent = 0;

	if (length <= 0 || (size_t)length >= sizeof (line))
		return (0);
	while (sent < length) {
		ssize_t done = write(fd, line + sent, (size_t)(length - sent));

		if (done > 0)
			sent += (int)done;
		else if (done < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (!ready_for(fd, POLLOUT, limit_ms))
				return (0);
		} else
			return (0);
	}
	return (1);
}

static void
note(const struct question *about)
{
	const char *why;
	int fd = reach(NOTE_MS, &why);

	if (fd >= 0) {
		(void) send_line(fd, about, NOTE_MS);
		(void) close(fd);
	}
}

/* The whole answer, up to its end; -1 without one, and `why` says what is the matter. */
static ssize_t
answer(const struct question *about, char *into, size_t size, const char **why)
{
	size_t length = 0;
	int fd = reach(ASK_MS, why);

	if (fd < 0)
		return (-1);
	*why = "closed";
	if (!send_line(fd, about, ASK_MS)) {
		(void) close(fd);
		return (-1);
	}
	for (;;) {
		ssize_t got = read(fd, into + length, size - length);

		if (got == 0)
			break;
		if (got > 0) {
			length += (size_t)got;
			if (length == size) {
				*why = "flood";
				length = 0;
				break;
			}
		} else if (errno == EAGAIN || errno == EINTR) {
			if (!ready_for(fd, POLLIN, ASK_MS)) {
				*why = "time-out";
				length = 0;
				break;
			}
		} else {
			length = 0;
			break;
		}
	}
	(void) close(fd);
	return (length > 0 ? (ssize_t)length : -1);
}

static int
hung_file(char *into, size_t size)
{
	return (trusted_folder(run_folder) && join(into, size, run_folder, "gate.hung"));
}

/* Somebody waited in vain a moment ago, and the daemon has heard nobody since. */
static int
hung(void)
{
	char path[LINE_MAX_BYTES];
	struct stat found;
	long long age;

	if (!hung_file(path, sizeof (path)) || lstat(path, &found) != 0 || !S_ISREG(found.st_mode) || !ours_alone(&found))
		return (0);
	age = (long long)time(NULL) - (long long)found.st_mtime;
	return (age >= 0 && age < HUNG_S);
}

static void
waited_in_vain(void)
{
	char path[LINE_MAX_BYTES];
	int fd;

	if (!hung_file(path, sizeof (path)))
		return;
	fd = clear_of_streams(open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
	if (fd < 0)
		return;
	(void) futimens(fd, NULL);
	(void) close(fd);
}

/* 1 allowed, 0 denied, -1 nobody said so. */
static int
ask(const struct question *about, const char **why)
{
	static char text[ANSWER_MAX];
	ssize_t length = answer(about, text, sizeof (text), why);
	char *end, *code;
	int allowed;

	if (length < 0)
		return (-1);
	*why = "garbage";
	end = memchr(text, '\n', (size_t)length);
	if (end == NULL)
		return (-1);
	if (strncmp(text, "allow ", 6) == 0)
		allowed = 1;
	else if (strncmp(text, "deny ", 5) == 0)
		allowed = 0;
	else
		return (-1);
	code = text + (allowed ? 6 : 5);
	*end = '\0';
	if (*code == '\0' || strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789-") != (size_t)(end - code))
		return (-1);
	show(about->out, end + 1, (size_t)(text + length - (end + 1)));
	return (allowed);
}

/* ---- alone ---- */

/* All of a plain file, and its `length`; a zero byte comes after it. NULL, and `why` says what is the matter. */
static char *
contents(const char *path, int must_be_ours, size_t *length, const char **why)
{
	struct stat found;
	char *text;
	int fd;

	fd = clear_of_streams(open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
	if (fd < 0) {
		*why = strerror(errno);
		return (NULL);
	}
	*why = must_be_ours ? "it is not a file of ours alone" : "it is no plain file, or too large";
	if (fstat(fd, &found) != 0 || !S_ISREG(found.st_mode) || (must_be_ours && !ours_alone(&found)) ||
	    found.st_size > FILE_MAX || (text = malloc((size_t)found.st_size + 1)) == NULL) {
		(void) close(fd);
		return (NULL);
	}
	*length = 0;
	while (*length < (size_t)found.st_size) {
		ssize_t got = read(fd, text + *length, (size_t)found.st_size - *length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		*length += (size_t)got;
	}
	(void) close(fd);
	text[*length] = '\0';
	return (text);
}

/* What the daemon wrote when it could; NULL, and `why` says what is the matter. Ends with a zero byte. */
static char *
record(const char **why)
{
	char path[LINE_MAX_BYTES];
	char *text;
	size_t length;

	*why = "its folder is not ours alone";
	if (!trusted_folder(state_folder) || !join(path, sizeof (path), state_folder, "guard"))
		return (NULL);
	text = contents(path, 1, &length, why);
	if (text != NULL && strncmp(text, "zonehookd 1\n", 12) != 0) {
		*why = "it is not what zonehookd writes";
		free(text);
		return (NULL);
	}
	return (text);
}

/* The rest of the first line that begins with `head`, and where that line ends; or NULL. */
static char *
line_of(char *text, const char *head, char **end)
{
	size_t length = strlen(head);

	while (text != NULL && *text != '\0') {
		char *next = strchr(text, '\n');

		if (next == NULL)
			return (NULL);	/* cut off: not to be believed */
		if (strncmp(text, head, length) == 0) {
			*end = next;
			return (text + length);
		}
		text = next + 1;
	}
	return (NULL);
}

static int
policy_is(char *text, const char *policy, const char *value)
{
	char head[64], *end, *said;

	(void) snprintf(head, sizeof (head), "policy %s ", policy);
	said = line_of(text, head, &end);
	return (said != NULL && (size_t)(end - said) == strlen(value) && strncmp(said, value, strlen(value)) == 0);
}

static int
boot_alone(const struct question *about)
{
	const char *why;
	char *text = record(&why);
	int allowed = text == NULL || !policy_is(text, "boot", "deny");

	if (!allowed) {
		say(about->out, "zonehookd: boot of zone %s is refused: zonehookd cannot be asked whether its links are there",
		    about->zone);
		say(about->out, "  start zonehookd (svcadm enable, clear or restart zonehookd), or see [guard] boot");
	}
	free(text);
	return (allowed);
}

/* What is said of the uninstall of a gateway; PERMITTED: somebody gave leave. */
enum word { NO_GATEWAY, REFUSED, PERMITTED, LEFT_ALONE };

/* By the record; `end`: of the gateway's line. */
static enum word
word_on(char *text, const char *gateway, char **end)
{
	char head[ZONE_MAX + 16], *line;
	long long count, until, now = (long long)time(NULL);

	(void) snprintf(head, sizeof (head), "gateway %s ", gateway);
	line = line_of(text, head, end);
	if (line == NULL)
		return (NO_GATEWAY);
	if (sscanf(line, "%lld %lld", &count, &until) != 2) {
		count = 1;
		until = 0;
	}
	if (until > now && until - now <= PERMIT_MAX_S)
		return (PERMITTED);
	if (policy_is(text, "uninstall", "allow") || (policy_is(text, "uninstall", "record") && count <= 0))
		return (LEFT_ALONE);
	return (REFUSED);
}

/*
 * Where the files of a zone are by the index of zones (zones sheet 2.7: NAME:STATE:PATH[:...], the path in double quotes
 * when it has a colon). 1 it is there, 0 it is not, -1 this is no whole index: it always has the global zone.
 */
static int
indexed(const char *text, const char *zone, const char **path, size_t *path_length)
{
	size_t zone_length = strlen(zone);
	int whole = 0, there = 0;

	while (*text != '\0') {
		const char *line = text, *end = text + strcspn(text, "\n"), *state, *start, *stop;

		text = *end == '\0' ? end : end + 1;
		if (*line == '#' || line + strspn(line, " \t") == end)
			continue;
		state = memchr(line, ':', (size_t)(end - line));
		start = state == NULL ? NULL : memchr(state + 1, ':', (size_t)(end - state - 1));
		if (start == NULL)
			return (-1);
		start++;
		stop = *start == '"' ? memchr(start + 1, '"', (size_t)(end - start - 1)) : NULL;
		if (stop != NULL && (stop + 1 == end || stop[1] == ':')) {
			start++;
		} else {
			stop = memchr(start, ':', (size_t)(end - start));
			if (stop == NULL)
				stop = end;
		}
		if (state - line == 6 && strncmp(line, "global", 6) == 0)
			whole = 1;
		if ((size_t)(state - line) == zone_length && strncmp(line, zone, zone_length) == 0) {
			*path = start;
			*path_length = (size_t)(stop - start);
			there = 1;
		}
	}
	return (whole ? there : -1);
}

/* The zones of the host, where the record says that they are listed. NULL, and `why` says what is the matter. */
static char *
zone_index(char *text, const char **why)
{
	char path[LINE_MAX_BYTES], *end, *said = line_of(text, "index ", &end), *index;
	const char *ignored;
	size_t length;

	*why = "the record does not say where the zones are listed";
	if (said == NULL || (size_t)(end - said) >= sizeof (path))
		return (NULL);
	(void) memcpy(path, said, (size_t)(end - said));
	path[end - said] = '\0';
	index = contents(path, 0, &length, why);
	if (index != NULL && (strlen(index) != length || indexed(index, "global", &ignored, &length) != 1)) {
		*why = "the index of zones is not whole";
		free(index);
		return (NULL);
	}
	return (index);
}

/*
 * The gateway that has the files of this zone, which the index has no more by its own name: it was renamed. 1 and its
 * `gateway`; 0 there is none; -1 nobody can tell, and `gateway` is one that must not be uninstalled, which it may be.
 */
static int
renamed(char *text, const char *zone, char gateway[ZONE_MAX], const char **why)
{
	char *index = NULL, *rest = text, *line, *end, *ignored;
	const char *path = NULL, *other;
	size_t length = 0, other_length;
	int looked = 0, found = 0;

	while (found == 0 && (line = line_of(rest, "files ", &end)) != NULL) {
		size_t name = strcspn(line, " ");

		rest = end + 1;
		if (name == 0 || name >= ZONE_MAX || line + name + 1 >= end)
			continue;
		if (!looked) {
			looked = 1;
			index = zone_index(text, why);
			if (index != NULL && indexed(index, zone, &path, &length) != 1)
				break;	/* none of the host's */
		}
		(void) memcpy(gateway, line, name);
		gateway[name] = '\0';
		line += name + 1;
		if (index == NULL)
			found = word_on(text, gateway, &ignored) == REFUSED ? -1 : 0;
		else if ((size_t)(end - line) == length && strncmp(line, path, length) == 0)
			found = indexed(index, gateway, &other, &other_length) == 0;
	}
	free(index);
	return (found);
}

static int
uninstall_alone(const struct question *about)
{
	const char *zone = about->zone, *gateway = zone, *why;
	char *text = record(&why), name[ZONE_MAX], *line, *end;
	enum word word;
	int is = 0;

	if (text == NULL) {
		say(about->out, "zonehookd: uninstall of zone %s is refused: zonehookd cannot be asked,", zone);
		say(about->out, "  and has left no record at %s/guard: %s", state_folder, why);
		say(about->out,
		    "  start it (svcadm enable, clear or restart zonehookd), or zonehookctl brand disable, which needs no "
		    "daemon");
		return (0);
	}
	word = word_on(text, zone, &end);
	if (word == NO_GATEWAY && (is = renamed(text, zone, name, &why)) != 0) {
		gateway = name;
		word = is < 0 ? REFUSED : word_on(text, name, &end);
	}
	if (word != REFUSED) {	/* who was nobody's gateway when it was last seen is free, too */
		if (word == PERMITTED)
			say(about->out, "zonehookd cannot be asked; uninstall of zone %s is permitted", zone);
		free(text);
		return (1);
	}
	if (is < 0) {
		say(about->out, "zonehookd: uninstall of zone %s is refused: zonehookd cannot be asked,", zone);
		say(about->out, "  and whether it is gateway %s renamed is not known: %s", gateway, why);
	} else {
		if (is > 0)
			say(about->out, "zonehookd: uninstall of zone %s, which is gateway %s renamed, is refused: "
			    "zonehookd cannot be asked who depends on it", zone, gateway);
		else
			say(about->out,
			    "zonehookd: uninstall of gateway zone %s is refused: zonehookd cannot be asked who depends on it",
			    zone);
		while (end[1] == '|' && (line = end + 2, end = strchr(line, '\n')) != NULL) {
			*end = '\0';
			say(about->out, "%s (when last seen)", line);
		}
	}
	say(about->out,
	    "  start zonehookd (svcadm enable, clear or restart zonehookd), then zonehookctl guard permit %s if it must go;",
	    gateway);
	say(about->out, "  or see [guard] without_daemon");
	free(text);
	return (0);
}

/* One line for the daemon to count later. */
static void
remember(const struct question *about, int allowed, const char *why)
{
	char path[LINE_MAX_BYTES], line[LINE_MAX_BYTES];
	struct stat found;
	int fd, length;

	if (!trusted_folder(state_folder) || !join(path, sizeof (path), state_folder, "gate.alone"))
		return;
	fd = clear_of_streams(open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
	if (fd < 0)
		return;
	length = snprintf(line, sizeof (line), "%lld %s %s %s %s\n", (long long)time(NULL), about->word, about->zone,
	    allowed ? "allow" : "deny", why);
	if (fstat(fd, &found) == 0 && S_ISREG(found.st_mode) && ours_alone(&found) && length > 0 &&
	    (size_t)length < sizeof (line) && found.st_size + length <= LOG_MAX)
		put(fd, line, (size_t)length);
	(void) close(fd);
}

static int
decide(const struct question *about)
{
	const char *why = "zone-name";
	int allowed = -1, uninstall = strcmp(about->word, "uninstall") == 0;

	if (strcmp(about->word, "note") == 0) {
		if (is_zone_name(about->zone))
			note(about);
		return (1);
	}
	if (!uninstall && hung())
		why = "hung";
	else if (is_zone_name(about->zone))
		allowed = ask(about, &why);
	if (allowed >= 0)
		return (allowed);
	if (!uninstall && strcmp(why, "time-out") == 0)
		waited_in_vain();
	if (strcmp(about->word, "ready") == 0)
		allowed = boot_alone(about);
	else if (uninstall)
		allowed = uninstall_alone(about);
	else
		allowed = 1;
	remember(about, allowed, why);
	return (allowed);
}

/* ---- the command line ---- */

/*
 * The last words of a state hook are STATE CMD [ALTROOT]; an empty ALTROOT may be there or not (5.2). Returns 0 under
 * an alternate root: that is somebody's scratch zone and none of ours.
 */
static int
state_hook(struct question *about, int first, int argc, char **argv)
{
	int last = argc - 1;

	if (last > first + 1 && (argv[last][0] == '\0' || argv[last][0] == '/') && is_number(argv[last - 1])) {
		if (argv[last][0] == '/')
			return (0);
		last--;
	}
	if (last - 1 < first || !is_number(argv[last - 1]) || !is_number(argv[last]))
		return (1);
	about->state = argv[last - 1];
	about->command = argv[last];
	if (strcmp(about->hook, "prestatechange") != 0)
		return (1);
	if (strcmp(about->command, "0") == 0)
		about->word = "ready";
	else if (strcmp(about->command, "4") == 0 && strcmp(about->state, "4") == 0)
		about->word = "halt";
	return (1);
}

static int
become(const struct question *about, char **argv)
{
	int error;

	(void) sigaction(SIGPIPE, &old_pipe, NULL);
	(void) execvp(argv[0], argv);
	error = errno;
	say(about->out, "zonehookd: cannot run the brand's own %s, %s: %s", about->hook, argv[0], strerror(error));
	return (error == ENOENT ? 127 : 126);
}

int
main(int argc, char **argv)
{
	struct question about = { "note", "", "", "-", "-", STDOUT_FILENO };
	struct sigaction ignore;
	char *slash;
	int original, asked = 1;

	began_ms = now_ms();
	slash = argc > 4 ? strrchr(argv[0], '/') : NULL;
	if (slash == NULL || slash == argv[0] || argv[4][0] != '-' || (strcmp(argv[4], "--") == 0 && argc < 6)) {
		say(STDERR_FILENO, "usage: STATE/gate RUN HOOK ZONE (-- ORIGINAL WORDS... | -) ARGUMENTS...");
		return (EXIT_USAGE);
	}
	*slash = '\0';
	state_folder = argv[0];
	run_folder = argv[1];
	about.hook = argv[2];
	about.zone = argv[3];
	original = strcmp(argv[4], "--") == 0;

	(void) memset(&ignore, 0, sizeof (ignore));
	ignore.sa_handler = SIG_IGN;	/* the daemon may go away while we speak */
	(void) sigemptyset(&ignore.sa_mask);
	(void) sigaction(SIGPIPE, &ignore, &old_pipe);

	if (strcmp(about.hook, "preuninstall") == 0) {
		about.word = "uninstall";
		about.out = STDERR_FILENO;
	} else {
		asked = state_hook(&about, original ? 6 : 5, argc, argv);
	}
	if (asked && !decide(&about))
		return (EXIT_DENIED);
	return (original ? become(&about, argv + 5) : 0);
}
