/* What answerd answers to a request; see answerd.c. */
#define _GNU_SOURCE
#include "answerd.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void answer(struct peer *peer, const char *status, const char *body, size_t length, int head_only)
{
	char head[512];
	int size = snprintf(head, sizeof(head),
	    "HTTP/1.1 %s\r\nServer: answerd\r\nX-Zone: %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n", status,
	    name, length, peer->closing ? "Connection: close\r\n" : "");

	add(peer, head, (size_t)size);
	if (!head_only)
		add(peer, body, length);
}

/* The value of a header in `head`, or NULL; it ends at \r. */
static const char *header(const char *head, const char *wanted)
{
	size_t length = strlen(wanted);

	for (const char *line = strstr(head, "\r\n"); line != NULL && line[2] != '\r'; line = strstr(line + 2, "\r\n"))
		if (strncasecmp(line + 2, wanted, length) == 0 && line[2 + length] == ':')
			return line + 3 + length + strspn(line + 3 + length, " ");
	return NULL;
}

static uint32_t rotated(uint32_t word, int by) { return word << by | word >> (32 - by); }

/* SHA-1 of a text of less than 119 bytes, in base64: 28 characters and a NUL into `out`. */
static void digest(const char *text, char *out)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	unsigned char bytes[128] = {0}, sum[21] = {0};
	size_t length = strlen(text), total = length < 56 ? 64 : 128;

	memcpy(bytes, text, length);
	bytes[length] = 0x80;
	bytes[total - 2] = (unsigned char)(length * 8 >> 8);
	bytes[total - 1] = (unsigned char)(length * 8);
	for (size_t at = 0; at < total; at += 64) {
		uint32_t word[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];

		for (int i = 0; i < 80; i++) {
			const unsigned char *four = bytes + at + 4 * i;
			uint32_t next, mixed;

			word[i] = i < 16 ? (uint32_t)four[0] << 24 | (uint32_t)four[1] << 16 | (uint32_t)four[2] << 8 | four[3]
			                 : rotated(word[i - 3] ^ word[i - 8] ^ word[i - 14] ^ word[i - 16], 1);
			if (i < 20)
				mixed = ((b & c) | (~b & d)) + 0x5a827999;
			else if (i < 40)
				mixed = (b ^ c ^ d) + 0x6ed9eba1;
			else if (i < 60)
				mixed = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
			else
				mixed = (b ^ c ^ d) + 0xca62c1d6;
			next = rotated(a, 5) + mixed + e + word[i];
			e = d;
			d = c;
			c = rotated(b, 30);
			b = a;
			a = next;
		}
		state[0] += a;
		state[1] += b;
		state[2] += c;
		state[3] += d;
		state[4] += e;
	}
	for (int i = 0; i < 20; i++)
		sum[i] = (unsigned char)(state[i / 4] >> (24 - 8 * (i % 4)));
	for (int i = 0; i < 28; i++) {
		int bit = 6 * i, pair = sum[bit / 8] << 8 | (bit / 8 < 20 ? sum[bit / 8 + 1] : 0);

		out[i] = letters[pair >> (10 - bit % 8) & 63];
	}
	out[27] = '=';
	out[28] = 0;
}

static void upgrade(struct peer *peer, const char *head)
{
	const char *kind = header(head, "Upgrade"), *key = header(head, "Sec-WebSocket-Key");
	char text[512], asked[112], accept[29];
	int size = snprintf(text, sizeof(text), "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %.*s\r\n",
	    (int)strcspn(kind, "\r") % 64, kind);

	add(peer, text, (size_t)size);
	if (key != NULL) {
		snprintf(asked, sizeof(asked), "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", (int)strcspn(key, "\r") % 64, key);
		digest(asked, accept);
		add(peer, text, (size_t)snprintf(text, sizeof(text), "Sec-WebSocket-Accept: %s\r\n", accept));
	}
	add(peer, text, (size_t)snprintf(text, sizeof(text), "\r\n%s\n", name));
	peer->http = peer->closing = 0;
}

void respond(struct peer *peer, char *head, size_t length)
{
	char path[1024] = "", method[16] = "", version[16] = "", text[300];
	const char *connection = header(head, "Connection"), *body = header(head, "Content-Length");
	int head_only, size;
	char *query;

	requests++;
	if (sscanf(head, "%15s %1023s %15s", method, path, version) != 3) {
		peer->closing = 1;
		answer(peer, "400 Bad Request", "", 0, 0);
		return;
	}
	head_only = strcmp(method, "HEAD") == 0;
	peer->skip = body == NULL ? 0 : strtoul(body, NULL, 10);
	if (strcmp(version, "HTTP/1.0") == 0 ? connection == NULL || strncasecmp(connection, "keep-alive", 10) != 0
	                                     : connection != NULL && strncasecmp(connection, "close", 5) == 0)
		peer->closing = 1;
	query = strchr(path, '?');
	if (query != NULL)
		*query++ = 0;
	size = snprintf(text, sizeof(text), "%s\n", name);
	if (mode == ERROR)
		answer(peer, "500 Internal Server Error", text, (size_t)size, head_only);
	else if (header(head, "Transfer-Encoding") != NULL) {
		peer->closing = 1;
		answer(peer, "411 Length Required", "", 0, 0);
	} else if (header(head, "Upgrade") != NULL)
		upgrade(peer, head);
	else if (strcmp(path, "/health") == 0)
		answer(peer, mode == SICK ? "503 Service Unavailable" : "200 OK", mode == SICK ? "no\n" : "ok\n", 3, head_only);
	else if (strcmp(path, "/headers") == 0)
		answer(peer, "200 OK", head, length, head_only);
	else if (strcmp(path, "/stats") == 0) {
		size = snprintf(text, sizeof(text), "requests %llu\nconnections %llu\n", requests, connections);
		answer(peer, "200 OK", text, (size_t)size, head_only);
	} else if (strcmp(path, "/size") == 0 && query != NULL) {
		size_t wanted = strtoul(query, NULL, 10);
		char *much = malloc(wanted + 1);

		if (much == NULL)
			fail("memory");
		memset(much, 'x', wanted);
		answer(peer, "200 OK", much, wanted, head_only);
		free(much);
	} else {
		if (strcmp(path, "/slow") == 0 && query != NULL)
			peer->due_ms = now_ms() + strtol(query, NULL, 10);
		delayed += peer->due_ms > 0;
		answer(peer, "200 OK", text, (size_t)size, head_only);
	}
}
