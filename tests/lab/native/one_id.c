/*
 * LD_PRELOAD for programs that change their user or the owners of files, in a user namespace of one id, where both are
 * impossible: every such call succeeds and does nothing. ZONELAB_ID is who the program is told it is; root without it.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static unsigned int told(void)
{
	const char *text = getenv("ZONELAB_ID");

	return text == NULL ? 0 : (unsigned int)strtoul(text, NULL, 10);
}

uid_t getuid(void) { return told(); }
uid_t geteuid(void) { return told(); }
gid_t getgid(void) { return told(); }
gid_t getegid(void) { return told(); }
int setuid(uid_t uid) { (void)uid; return 0; }
int seteuid(uid_t uid) { (void)uid; return 0; }
int setgid(gid_t gid) { (void)gid; return 0; }
int setegid(gid_t gid) { (void)gid; return 0; }
int setreuid(uid_t real, uid_t effective) { (void)real; (void)effective; return 0; }
int setregid(gid_t real, gid_t effective) { (void)real; (void)effective; return 0; }
int setresuid(uid_t real, uid_t effective, uid_t saved) { (void)real; (void)effective; (void)saved; return 0; }
int setresgid(gid_t real, gid_t effective, gid_t saved) { (void)real; (void)effective; (void)saved; return 0; }
int setgroups(size_t count, const gid_t *list) { (void)count; (void)list; return 0; }
int initgroups(const char *user, gid_t group) { (void)user; (void)group; return 0; }
int chown(const char *path, uid_t owner, gid_t group) { (void)path; (void)owner; (void)group; return 0; }
int lchown(const char *path, uid_t owner, gid_t group) { (void)path; (void)owner; (void)group; return 0; }
int fchown(int fd, uid_t owner, gid_t group) { (void)fd; (void)owner; (void)group; return 0; }

int fchownat(int folder, const char *path, uid_t owner, gid_t group, int flags)
{
	(void)folder; (void)path; (void)owner; (void)group; (void)flags;
	return 0;
}
