/*
 * The manager that manager.c and storm.c measure: one lock, two indexes, connect and disconnect. Each defines lock() and
 * unlock() for itself.
 */
#pragma once
#include "index.h"

struct eventfd { char bytes[64]; };

static struct index producers, consumers;
static volatile int sink;

static void lock(void);
static void unlock(void);

static __attribute__((noinline)) void callbacks(struct object *p, struct object *c)
{
	sink = p->registered + c->registered;
}

static __attribute__((noinline)) int add(struct index *mine, struct index *others, struct object *o)
{
	int error = -1;

	lock();
	if (!o->registered && index_insert(mine, o) == 0) {
		struct object *other = index_load(others, o->key);

		if (other) {
			callbacks(o, other);
			o->partner = other;
			other->partner = o;
		}
		o->registered = 1;
		error = 0;
	}
	unlock();
	return error;
}

static __attribute__((noinline)) void del(struct index *mine, struct object *o)
{
	lock();
	if (o->registered) {
		if (o->partner) {
			callbacks(o, o->partner);
			o->partner->partner = NULL;
			o->partner = NULL;
		}
		index_erase(mine, o);
		o->registered = 0;
	}
	unlock();
}

static struct object *objects(size_t count, struct eventfd *fds, int dense)
{
	struct object *all = calloc(count, sizeof(*all));

	for (size_t i = 0; i < count; i++)
		all[i].key = dense ? i : (uintptr_t)&fds[i] | 0xffff888000000000ull;
	return all;
}

/* A list is filled without the search that each registration makes. */
static void fill(struct index *mine, struct index *others, struct object *o)
{
	if (mine->list) {
		list_push(mine, o);
		o->registered = 1;
	} else {
		add(mine, others, o);
	}
}
