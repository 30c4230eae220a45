/*
 * What a subscriber needs of libsysevent.so.1 and libnvpair.so.1 [zones 2.6], over a kernel that a test steers. Lists are
 * counted, and what lay in one is overwritten when it is freed.
 */
#include "kernel.h"

typedef int (*callback_t)(const struct event *, void *);
struct list {
	char name[128], newstate[64];
	int nameless;
};

static callback_t callback;
static void *cookie;
static char subscriber[16], wanted[64];
static int channel __attribute__((aligned(8)));

EXPORT int sysevent_evc_bind(const char *, void **, uint32_t);
EXPORT int sysevent_evc_unbind(void *);
EXPORT int sysevent_evc_subscribe(void *, const char *, const char *, callback_t, void *, uint32_t);
EXPORT int sysevent_evc_unsubscribe(void *, const char *);
EXPORT int sysevent_evc_publish(void *, const char *, const char *, const char *, const char *, void *, uint32_t);
EXPORT const char *sysevent_get_class_name(const struct event *);
EXPORT const char *sysevent_get_subclass_name(const struct event *);
EXPORT int sysevent_get_attr_list(const struct event *, struct list **);
EXPORT int nvlist_lookup_string(struct list *, const char *, char **);
EXPORT void nvlist_free(struct list *);

static int deliver(const struct event *event)
{
	int zones = strcmp(event->class, "status") == 0;

	if (strcmp(wanted, "register_all_classes") != 0 && strcmp(wanted, event->class) != 0)
		return 0;
	if (fake.lose_pings && !zones)
		return 0;
	fake.calls += zones;
	fake.strangers += event->kind == FOREIGN;
	return callback(event, cookie);
}

int sysevent_evc_bind(const char *name, void **into, uint32_t flags)
{
	*into = NULL;
	if (fake.refuse)
		return (int)fake.refuse;
	if (strcmp(name, "com.sun:zones:status") != 0 || flags != 0)
		return EINVAL;
	fake.binds++;
	fake.bound++;
	*into = &channel;
	return 0;
}

int sysevent_evc_subscribe(void *to, const char *id, const char *class, callback_t function, void *argument,
    uint32_t flags)
{
	if (fake.refuse_sub)
		return (int)fake.refuse_sub;
	if (to != &channel || strlen(id) == 0 || strlen(id) >= sizeof(subscriber) || strlen(class) >= sizeof(wanted) || flags)
		return EINVAL;
	if (subscriber[0])
		return EEXIST;
	strcpy(subscriber, id);
	strcpy(wanted, class);
	callback = function;
	cookie = argument;
	start(deliver);
	return 0;
}

int sysevent_evc_unsubscribe(void *from, const char *id)
{
	if (from != &channel || strcmp(id, subscriber) != 0)
		return EINVAL;
	stop();
	subscriber[0] = 0;
	return 0;
}

int sysevent_evc_unbind(void *what)
{
	if (what != &channel || subscriber[0])
		abort();
	if (fake.keep)
		return (int)fake.keep;
	fake.unbinds++;
	fake.bound--;
	return 0;
}

int sysevent_evc_publish(void *to, const char *class, const char *subclass, const char *vendor, const char *publisher,
    void *list, uint32_t flags)
{
	struct event event = {.kind = BARE};

	if (to != &channel || list != NULL || flags != 2 || strlen(class) >= sizeof(event.class) ||
	    strlen(subclass) >= sizeof(event.subclass) || strlen(vendor) + strlen(publisher) + 19 > 128)
		return EINVAL;
	fake.trespasses += strcmp(class, "status") == 0; /* a handle of libzonecfg may take it for its own ping */
	if (fake.full > 0) {
		fake.full--;
		return EAGAIN;
	}
	strcpy(event.class, class);
	strcpy(event.subclass, subclass);
	fake.pings++;
	return enqueue(&event) ? 0 : EAGAIN;
}

const char *sysevent_get_class_name(const struct event *event)
{
	return event->class;
}

const char *sysevent_get_subclass_name(const struct event *event)
{
	return event->subclass;
}

int sysevent_get_attr_list(const struct event *event, struct list **into)
{
	*into = NULL;
	if (fake.no_memory > 0) {
		fake.no_memory--;
		errno = ENOMEM;
		return -1;
	}
	if (event->kind == BARE || event->kind == PING || event->kind == FOREIGN)
		return 0;
	*into = calloc(1, sizeof(**into));
	strcpy((*into)->name, event->name);
	strcpy((*into)->newstate, event->newstate);
	(*into)->nameless = event->kind == NAMELESS;
	fake.lists++;
	return 0;
}

int nvlist_lookup_string(struct list *list, const char *name, char **into)
{
	if (strcmp(name, "zonename") == 0 && !list->nameless)
		*into = list->name;
	else if (strcmp(name, "newstate") == 0)
		*into = list->newstate;
	else
		return ENOENT;
	return 0;
}

void nvlist_free(struct list *list)
{
	if (list == NULL)
		return;
	memset(list, 'x', sizeof(*list));
	free(list);
	fake.lists--;
}
