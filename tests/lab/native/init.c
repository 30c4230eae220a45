/*
 * Process 1, twice. `host`: of the whole lab host; it starts the command, reaps, and takes everything with it when it
 * ends. `zone`: of one zone; first it only holds the zone's namespaces (zsched), then it plays init.
 */
#define _GNU_SOURCE
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int all_signals(void)
{
	sigset_t set;
	int fd;

	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		die("signalfd");
	return fd;
}

void default_signals(void)
{
	sigset_t none;

	for (int each = 1; each < 32; each++)
		signal(each, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int start_command(char **argv, const char *cwd)
{
	int child = fork();

	if (child < 0)
		die("fork");
	if (child == 0) {
		default_signals();
		if (chdir(cwd) < 0 && chdir("/") < 0)
			die("chdir");
		execvp(argv[0], argv);
		dprintf(2, "zonelab: %s: %s\n", argv[0], strerror(errno));
		_exit(errno == ENOENT ? 127 : 126);
	}
	return child;
}

static int exit_code(int status)
{
	return (status & 0x7f) == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f);
}

/* host NAME SERVER READY LEASH FOLDER [COMMAND ...]: numbers are a process and two descriptors (-1: none). */
static int host(int argc, char **argv)
{
	int server = atoi(argv[3]), ready = atoi(argv[4]), leash = atoi(argv[5]), signals = all_signals(), command = 0;
	struct pollfd waits[3] = {{signals, POLLIN, 0}, {leash, POLLIN, 0}, {ready, POLLIN, 0}};

	/* `zonelab down` and `fault` find us by this argument list, and by nothing else. */
	fcntl(leash, F_SETFD, FD_CLOEXEC);
	fcntl(ready, F_SETFD, FD_CLOEXEC);
	for (;;) {
		struct signalfd_siginfo info;
		int child, status;

		if (poll(waits, 3, -1) < 0 && errno != EINTR)
			die("poll");
		if (waits[1].revents != 0)
			return 1; /* whoever wanted this host is dead */
		if (waits[2].revents != 0) {
			char byte;

			waits[2].fd = -1;
			if (read(ready, &byte, 1) == 1 && argc > 7)
				command = start_command(argv + 7, argv[6]);
			close(ready);
		}
		while (read(signals, &info, sizeof(info)) == sizeof(info)) {
			int number = (int)info.ssi_signo;

			if (number == SIGCHLD || number == SIGPIPE)
				continue;
			if (command > 0 && info.ssi_code <= 0)
				kill(command, number);
			else if (command == 0 && argc <= 7 && number == SIGTERM)
				return 0;
		}
		while ((child = waitpid(-1, &status, WNOHANG)) > 0) {
			if (child == server)
				return command > 0 ? 125 : exit_code(status);
			if (child == command)
				return exit_code(status);
		}
	}
}

void say(int control, const char *form, ...)
{
	char text[512];
	va_list arguments;
	int length;

	va_start(arguments, form);
	length = vsnprintf(text, sizeof(text), form, arguments);
	va_end(arguments);
	if (length > (int)sizeof(text))
		length = sizeof(text);
	send(control, text, (size_t)length, MSG_NOSIGNAL);
}

static void need(int control, int result, const char *what)
{
	if (result < 0) {
		say(control, "error %s: %s", what, strerror(errno));
		_exit(1);
	}
}

static void settle(int control, const char *root, const char *name)
{
	need(control, mount(root, root, NULL, MS_BIND | MS_REC, NULL), "binding the root");
	need(control, chdir(root), "entering the root");
	need(control, mount("/dev", "dev", NULL, MS_BIND | MS_REC, NULL), "/dev");
	need(control, mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "/proc");
	need(control, mount("sysfs", "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL), "/sys");
	need(control, (int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
	need(control, umount2(".", MNT_DETACH), "leaving the old root");
	need(control, chdir("/"), "/");
	need(control, sethostname(name, strlen(name)), "hostname");
}

static void start_rc_local(void)
{
	static char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C", NULL};
	static char *const argv[] = {"/etc/rc.local", "start", NULL};

	if (access(argv[0], X_OK) != 0 || fork() != 0)
		return;
	default_signals();
	setsid();
	dup2(open("/dev/null", O_RDONLY), 0);
	dup2(open("/var/log/rc.local.log", O_WRONLY | O_CREAT | O_APPEND, 0644), 1);
	dup2(1, 2);
	execve(argv[0], argv, environment);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(126);
}

/* The zone's process 1. Words on `control`: "init". When the server lets go of it, the zone ends. */
static int zone_init(int control)
{
	int signals = all_signals();
	struct pollfd waits[2] = {{signals, POLLIN, 0}, {control, POLLIN, 0}};

	for (;;) {
		struct signalfd_siginfo info;

		if (poll(waits, 2, -1) < 0 && errno != EINTR)
			return 1;
		if (waits[1].revents != 0) {
			char text[16];
			ssize_t length = recv(control, text, sizeof(text) - 1, 0);

			if (length <= 0)
				return 0;
			text[length] = 0;
			if (strcmp(text, "init") == 0)
				start_rc_local();
			say(control, "started");
		}
		while (read(signals, &info, sizeof(info)) == sizeof(info))
			if (info.ssi_signo == SIGTERM)
				return 0;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}

/* zone CONTROL ROOT NAME own|shared: `control` is a SOCK_SEQPACKET descriptor; "own" is an IP stack of its own. */
static int zone(char **argv)
{
	int control = atoi(argv[2]);
	int kinds = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID;
	int child;

	fcntl(control, F_SETFD, FD_CLOEXEC);
	if (strcmp(argv[5], "own") == 0)
		kinds |= CLONE_NEWNET;
	need(control, unshare(kinds), "unshare");
	child = fork();
	need(control, child, "fork");
	if (child > 0) {
		say(control, "pid %d", child);
		return 0;
	}
	setsid();
	settle(control, argv[3], argv[4]);
	say(control, "ready");
	return zone_init(control);
}

int main_init(int argc, char **argv)
{
	if (argc >= 7 && strcmp(argv[1], "host") == 0)
		return host(argc, argv);
	if (argc == 6 && strcmp(argv[1], "zone") == 0)
		return zone(argv);
	if (argc >= 7 && strcmp(argv[1], "contract") == 0)
		return main_contract(argc, argv);
	dprintf(2, "zonelab-init is started by the lab itself\n");
	return 2;
}
