/*
 * answerd: a small server that says which zone it is, so that hundreds of zones can have one each. One process, one
 * thread, no library but libc.
 *
 *   answerd [--name NAME] [--http PORT]... [--tcp PORT]... [--slow-start SECONDS] [--mode FILE] [--daemon yes]
 *
 * NAME is the host's name unless given. HTTP/1.1 with keep-alive: GET /health says "ok"; /headers gives the request
 * head back; /stats says "requests N" and "connections N"; /slow?MS waits; /size?BYTES is that long; everything else
 * answers NAME and a line feed. A request with Upgrade is answered 101 (with the accept word of a websocket if it has a
 * key; haproxy asks for both) and from there on is what a TCP port is: NAME and a line feed at once, then every byte
 * comes back. --slow-start: no port is open before that.
 * --daemon: it returns once it listens (with --slow-start at once) and goes on in the background.
 *
 * The first word of FILE (/var/answerd.mode unless said) is how it behaves; it is looked at with each request and
 * connection, four times a second, and at once after SIGHUP. Without it: as above.
 *   refuse  ports closed, connections reset     hang   connections are taken, nothing is answered
 *   sick    /health is 503, the rest is well    error  every answer is 500     reset  each request: connection reset
 */
#define _GNU_SOURCE
#include "answerd.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MAX 16384
#define PORTS_MAX 64
#define LOOK_MS 250

struct port {
	int number, http, fd;
};

static const char *const words[] = {"", "refuse", "hang", "sick", "error", "reset"};
static const char *mode_file = "/var/answerd.mode";
char name[256];
static struct port ports[PORTS_MAX];
static int port_count, epoll, changed; /* changed: the mode is another one */
int delayed;
static struct peer *peers;
enum mode mode;
unsigned long long requests, connections;
static volatile sig_atomic_t told;

static void on_hup(int number) { (void)number; told = 1; }

long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

void fail(const char *what)
{
	fprintf(stderr, "answerd: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void drop(struct peer *peer, int hard)
{
	struct linger at_once = {1, 0};

	delayed -= peer->due_ms > 0;
	if (hard)
		setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(peer->fd);
	if (peer->previous != NULL)
		peer->previous->next = peer->next;
	else
		peers = peer->next;
	if (peer->next != NULL)
		peer->next->previous = peer->previous;
	free(peer->in);
	free(peer->out);
	free(peer);
}

static void open_port(struct port *port)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((unsigned short)port->number)};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = port};
	int on = 1, off = 0;

	port->fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (port->fd < 0)
		fail("socket");
	setsockopt(port->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(port->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(port->fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(port->fd, 1024) < 0)
		fail("listening");
	epoll_ctl(epoll, EPOLL_CTL_ADD, port->fd, &event);
}

static void look(void)
{
	char text[32] = "";
	int fd = open(mode_file, O_RDONLY | O_CLOEXEC);
	enum mode before = mode;

	told = 0;
	mode = NORMAL;
	if (fd >= 0) {
		ssize_t length = read(fd, text, sizeof(text) - 1);

		close(fd);
		text[length < 0 ? 0 : length] = 0;
		text[strcspn(text, " \t\n")] = 0;
		for (size_t i = 1; i < sizeof(words) / sizeof(words[0]); i++)
			if (strcmp(text, words[i]) == 0)
				mode = (enum mode)i;
	}
	if (mode == before)
		return;
	changed = 1;
	for (int i = 0; i < port_count; i++) {
		if (mode == REFUSE && ports[i].fd >= 0) {
			close(ports[i].fd);
			ports[i].fd = -1;
		} else if (mode != REFUSE && ports[i].fd < 0)
			open_port(&ports[i]);
	}
	while (mode == REFUSE && peers != NULL)
		drop(peers, 1);
}

static void go_on_in_background(void)
{
	int null = open("/dev/null", O_RDWR), child = fork();

	if (child < 0)
		fail("fork");
	if (child > 0)
		_exit(0);
	setsid();
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	close(null);
}

static void watch(struct peer *peer)
{
	int wanted = peer->due_ms > 0 ? 0 : peer->out_length > peer->out_sent ? EPOLLOUT : EPOLLIN;
	struct epoll_event event = {.events = (unsigned int)wanted, .data.ptr = peer};

	if (!peer->added || wanted != peer->watched)
		epoll_ctl(epoll, peer->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, peer->fd, &event);
	peer->added = 1;
	peer->watched = wanted;
}

void add(struct peer *peer, const char *bytes, size_t length)
{
	peer->out = realloc(peer->out, peer->out_length + length + 1);
	if (peer->out == NULL)
		fail("memory");
	memcpy(peer->out + peer->out_length, bytes, length);
	peer->out_length += length;
}

/* 0: it is gone. */
static int send_out(struct peer *peer)
{
	while (peer->out_length > peer->out_sent) {
		ssize_t sent = send(peer->fd, peer->out + peer->out_sent, peer->out_length - peer->out_sent, MSG_NOSIGNAL);

		if (sent < 0 && errno == EAGAIN)
			return 1;
		if (sent < 0) {
			drop(peer, 0);
			return 0;
		}
		peer->out_sent += (size_t)sent;
	}
	peer->out_length = peer->out_sent = 0;
	if (peer->closing) {
		drop(peer, 0);
		return 0;
	}
	return 1;
}

/* Answers what is complete; 0: the peer is gone. */
static int requests_of(struct peer *peer)
{
	while (peer->http && mode != HANG && peer->due_ms == 0 && !peer->closing) {
		size_t skipped = peer->skip < peer->in_length ? peer->skip : peer->in_length, length;
		char *end, first;

		peer->skip -= skipped;
		peer->in_length -= skipped;
		memmove(peer->in, peer->in + skipped, peer->in_length);
		peer->in[peer->in_length] = 0;
		end = peer->skip > 0 ? NULL : strstr(peer->in, "\r\n\r\n");
		if (end == NULL)
			break;
		if (mode == RESET) {
			drop(peer, 1);
			return 0;
		}
		length = (size_t)(end - peer->in) + 4;
		first = peer->in[length];
		peer->in[length] = 0;
		respond(peer, peer->in, length);
		peer->in[length] = first;
		peer->in_length -= length;
		memmove(peer->in, peer->in + length, peer->in_length);
		peer->in[peer->in_length] = 0;
	}
	if (!peer->http && peer->in_length > 0) {
		add(peer, peer->in, peer->in_length);
		peer->in_length = 0;
	}
	if (peer->due_ms == 0 && !send_out(peer))
		return 0;
	watch(peer);
	return 1;
}

static void hear(struct peer *peer)
{
	ssize_t got;

	look();
	if (mode == REFUSE)
		return; /* it is gone */
	if (peer->out_length > peer->out_sent && peer->due_ms == 0) {
		if (send_out(peer))
			watch(peer);
		return;
	}
	got = recv(peer->fd, peer->in + peer->in_length, HEAD_MAX - peer->in_length, 0);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0 || peer->in_length + (size_t)got >= HEAD_MAX) {
		drop(peer, got > 0);
		return;
	}
	peer->in_length += (size_t)got;
	peer->in[peer->in_length] = 0;
	requests_of(peer);
}

static void take(struct port *port)
{
	int fd, on = 1;

	look();
	while (port->fd >= 0 && (fd = accept4(port->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct peer *peer = calloc(1, sizeof(*peer));

		if (peer == NULL || (peer->in = malloc(HEAD_MAX + 1)) == NULL)
			fail("memory");
		connections++;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		peer->in[0] = 0;
		peer->fd = fd;
		peer->http = port->http;
		peer->next = peers;
		if (peers != NULL)
			peers->previous = peer;
		peers = peer;
		if (!port->http && mode != HANG) {
			add(peer, name, strlen(name));
			add(peer, "\n", 1);
			if (!send_out(peer))
				continue;
		}
		watch(peer);
	}
}

/* Answers that are due, and what waited while nothing was answered. */
static void catch_up(void)
{
	changed = 0;
	for (struct peer *peer = peers, *next; peer != NULL; peer = next) {
		next = peer->next;
		if (peer->due_ms > now_ms())
			continue;
		delayed -= peer->due_ms > 0;
		peer->due_ms = 0;
		requests_of(peer);
	}
}

static int is_port(void *pointer)
{
	return (struct port *)pointer >= ports && (struct port *)pointer < ports + PORTS_MAX;
}

int main(int argc, char **argv)
{
	double slow = 0;
	int background = 0;
	struct rlimit files;

	gethostname(name, sizeof(name) - 1);
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--name") == 0)
			snprintf(name, sizeof(name), "%s", argv[i + 1]);
		else if (strcmp(argv[i], "--slow-start") == 0)
			slow = strtod(argv[i + 1], NULL);
		else if (strcmp(argv[i], "--mode") == 0)
			mode_file = argv[i + 1];
		else if (strcmp(argv[i], "--daemon") == 0)
			background = 1;
		else if ((strcmp(argv[i], "--http") == 0 || strcmp(argv[i], "--tcp") == 0) && port_count < PORTS_MAX)
			ports[port_count++] = (struct port){atoi(argv[i + 1]), argv[i][2] == 'h', -1};
		else
			argc = 0;
	}
	if (argc % 2 == 0 || port_count == 0) {
		fprintf(stderr, "usage: answerd [--name NAME] [--http PORT]... [--tcp PORT]... [--slow-start SECONDS] [--mode FILE] "
		    "[--daemon yes]\n");
		return 2;
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	sigaction(SIGHUP, &(struct sigaction){.sa_handler = on_hup}, NULL);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (background && slow > 0)
		go_on_in_background();
	usleep((useconds_t)(slow * 1e6));
	mode = REFUSE; /* and what the file says, even if that is nothing, is a change */
	look();
	if (background && slow == 0)
		go_on_in_background();
	for (;;) {
		struct epoll_event events[1];
		long long wait = told ? 0 : LOOK_MS, now = now_ms();
		int count;

		for (struct peer *peer = delayed ? peers : NULL; peer != NULL; peer = peer->next)
			if (peer->due_ms > 0 && peer->due_ms - now < wait)
				wait = peer->due_ms > now ? peer->due_ms - now : 0;
		/* One at a time: what one peer brings may end others. */
		count = epoll_wait(epoll, events, 1, (int)wait);
		if (count > 0 && is_port(events[0].data.ptr))
			take(events[0].data.ptr);
		else if (count > 0)
			hear(events[0].data.ptr);
		else
			look();
		if (changed || delayed)
			catch_up();
	}
}
