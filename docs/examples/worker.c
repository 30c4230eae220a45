/*
 * A whole plugin in C: zones that run have their lines in /etc/hosts, as in docs/plugins/guide.md. docs/plugins/wire.md is
 * the contract; nothing of zonehookd is used.
 *
 *     cc -o plugin worker.c -lzmq -lcjson      in a folder named hosts
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <zmq.h>

static const char *about = "{\"api\": 1, \"name\": \"hosts\", \"kind\": \"zone\", \"speaks\": \"zeromq\","
    " \"about\": \"Zones that run have their lines in /etc/hosts.\"}";
static void *daemon_;

static cJSON *
frame(const char *type)
{
	cJSON *it = cJSON_CreateObject();

	cJSON_AddNumberToObject(it, "v", 1);
	cJSON_AddStringToObject(it, "type", type);
	return (it);
}

static void
say(cJSON *it)
{
	char *text = cJSON_PrintUnformatted(it);

	if (zmq_send(daemon_, text, strlen(text), 0) == -1)
		exit(1);
	cJSON_free(text);
	cJSON_Delete(it);
}

/* The view of a subject, if it is shown; else as it was shown last. */
static cJSON *
view_of(cJSON *known, cJSON *subject, cJSON *shown)
{
	if (!cJSON_IsNull(shown)) {
		cJSON_DeleteItemFromObjectCaseSensitive(known, subject->valuestring);
		cJSON_AddItemToObject(known, subject->valuestring, cJSON_Duplicate(shown, 1));
	}
	return (cJSON_GetObjectItemCaseSensitive(known, subject->valuestring));
}

/* What shall stand in /etc/hosts for this zone. */
static cJSON *
plan(cJSON *subject, cJSON *view)
{
	cJSON *zone = cJSON_GetObjectItem(view, "zone"), *answer = cJSON_CreateObject(), *nic, *address;
	const char *name = cJSON_GetObjectItem(zone, "name")->valuestring;
	const char *state = cJSON_GetObjectItem(zone, "state")->valuestring;
	char lines[4096] = "", why[512];

	if (strcmp(state, "running") == 0)
		cJSON_ArrayForEach(nic, cJSON_GetObjectItem(view, "attachments"))
			cJSON_ArrayForEach(address, cJSON_GetObjectItem(nic, "addresses")) {
				size_t used = strlen(lines);
				(void) snprintf(lines + used, sizeof (lines) - used, "%.*s\t%s\n",
				    (int)strcspn(address->valuestring, "/"), address->valuestring, name);
			}
	(void) snprintf(why, sizeof (why), "zone %s is %s", name, state);
	cJSON_AddStringToObject(answer, "subject", subject->valuestring);
	cJSON *step = cJSON_CreateObject();
	cJSON_AddItemToArray(cJSON_AddArrayToObject(answer, "steps"), step);
	cJSON_AddStringToObject(step, "do", "block");
	cJSON_AddStringToObject(step, "path", "/etc/hosts");
	cJSON_AddStringToObject(step, "body", lines);
	cJSON_AddStringToObject(step, "why", why);
	return (answer);
}

int
main(int argc, char *argv[])
{
	if (argc == 2 && strcmp(argv[1], "describe") == 0)
		return (puts(about) == EOF);
	daemon_ = zmq_socket(zmq_ctx_new(), ZMQ_DEALER);
	if (getenv("ZONEHOOKD_ENDPOINT") == NULL || zmq_connect(daemon_, getenv("ZONEHOOKD_ENDPOINT")) == -1)
		return (1);
	cJSON *hello = frame("hello"), *known = cJSON_CreateObject(), *shown;
	cJSON_AddStringToObject(hello, "instance", getenv("ZONEHOOKD_INSTANCE"));
	cJSON_AddNumberToObject(hello, "api", 1);
	cJSON_AddStringToObject(hello, "name", "hosts");
	cJSON_AddStringToObject(hello, "kind", "zone");
	say(hello);
	zmq_pollitem_t waits[] = {{ daemon_, 0, ZMQ_POLLIN, 0 }, { NULL, STDIN_FILENO, ZMQ_POLLIN, 0 }};
	while (zmq_poll(waits, 2, -1) != -1) {
		if (waits[1].revents)	/* standard input has ended: there is no daemon any more */
			return (0);
		zmq_msg_t message;
		zmq_msg_init(&message);
		if (zmq_msg_recv(&message, daemon_, 0) == -1)
			return (1);
		cJSON *heard = cJSON_ParseWithLength(zmq_msg_data(&message), zmq_msg_size(&message));
		zmq_msg_close(&message);
		const char *type = cJSON_GetStringValue(cJSON_GetObjectItem(heard, "type"));
		if (type == NULL || strcmp(type, "stop") == 0)
			return (type == NULL);
		if (strcmp(type, "welcome") == 0) {
			say(frame("ready"));
		} else if (strcmp(type, "call") == 0) {
			cJSON *result = frame("result"), *plans = cJSON_AddArrayToObject(result, "plans");
			cJSON_AddNumberToObject(result, "id", cJSON_GetObjectItem(heard, "id")->valueint);
			cJSON_ArrayForEach(shown, cJSON_GetObjectItem(heard, "subjects")) {
				cJSON *subject = cJSON_GetObjectItem(shown, "subject");
				cJSON *view = view_of(known, subject, cJSON_GetObjectItem(shown, "view"));
				cJSON_AddItemToArray(plans, plan(subject, view));
			}
			say(result);
		}
		cJSON_Delete(heard);
	}
	return (1);
}
