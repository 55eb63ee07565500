/*
 * Two indexes from a key to an object: a list, as the kernel's manager had it, and a radix tree of 64 slots a node, as
 * its xarray is built. Both refuse a second object under one key.
 */
#pragma once
#include <stdint.h>
#include <stdlib.h>

struct object {
	struct object *next, **link;
	uint64_t key;
	struct object *partner;
	int registered;
	char pad[472]; /* 512 bytes: the kernel's consumer is part of a struct kvm_kernel_irqfd, about as large */
};

struct node {
	void *slot[64];
	struct node *parent;
	unsigned offset, count;
	char pad[48]; /* 576 bytes, as a node of the kernel */
};

struct index {
	int list;
	struct object *head;
	struct node *top;
	int levels;
	size_t nodes;
};

static struct node *spare;

static struct node *node_alloc(struct index *in)
{
	struct node *n = spare;

	in->nodes++;
	if (n == NULL)
		return calloc(1, sizeof(struct node));
	spare = n->parent;
	n->parent = NULL;
	return n;
}

static void node_free(struct index *in, struct node *n)
{
	in->nodes--;
	n->offset = n->count = 0;
	n->parent = spare;
	spare = n;
}

static inline int too_high(const struct index *in, uint64_t key)
{
	if (in->levels == 0)
		return 1;
	return in->levels * 6 < 64 && key >> (in->levels * 6) != 0;
}

static struct object *index_load(struct index *in, uint64_t key)
{
	if (in->list) {
		for (struct object *o = in->head; o; o = o->next)
			if (o->key == key)
				return o;
		return NULL;
	}
	if (too_high(in, key))
		return NULL;
	void *at = in->top;
	for (int shift = (in->levels - 1) * 6; at && shift >= 0; shift -= 6)
		at = ((struct node *)at)->slot[(key >> shift) & 63];
	return at;
}

static void list_push(struct index *in, struct object *o)
{
	o->next = in->head;
	o->link = &in->head;
	if (in->head)
		in->head->link = &o->next;
	in->head = o;
}

/* 0 on success, -1 where the key is taken. */
static int index_insert(struct index *in, struct object *o)
{
	if (in->list) {
		if (index_load(in, o->key))
			return -1;
		list_push(in, o);
		return 0;
	}
	while (too_high(in, o->key)) {
		struct node *above = node_alloc(in);

		if (in->top) {
			above->slot[0] = in->top;
			above->count = 1;
			in->top->parent = above;
		}
		in->top = above;
		in->levels++;
	}
	struct node *n = in->top;
	for (int shift = (in->levels - 1) * 6; shift > 0; shift -= 6) {
		unsigned offset = (o->key >> shift) & 63;
		struct node *child = n->slot[offset];

		if (child == NULL) {
			child = node_alloc(in);
			child->parent = n;
			child->offset = offset;
			n->slot[offset] = child;
			n->count++;
		}
		n = child;
	}
	if (n->slot[o->key & 63])
		return -1;
	n->slot[o->key & 63] = o;
	n->count++;
	return 0;
}

static void index_erase(struct index *in, struct object *o)
{
	if (in->list) {
		/* As before the series: unregister looks for its object from the head. */
		for (struct object *at = in->head; at; at = at->next) {
			if (at != o)
				continue;
			*o->link = o->next;
			if (o->next)
				o->next->link = o->link;
			return;
		}
		return;
	}
	struct node *n = in->top;
	for (int shift = (in->levels - 1) * 6; shift > 0; shift -= 6)
		n = n->slot[(o->key >> shift) & 63];
	n->slot[o->key & 63] = NULL;
	n->count--;
	while (n && n->count == 0) {
		struct node *parent = n->parent;

		if (parent) {
			parent->slot[n->offset] = NULL;
			parent->count--;
		} else {
			in->top = NULL;
			in->levels = 0;
		}
		node_free(in, n);
		n = parent;
	}
	while (in->levels > 1 && in->top->count == 1 && in->top->slot[0]) {
		struct node *top = in->top;

		in->top = top->slot[0];
		in->top->parent = NULL;
		in->top->offset = 0;
		in->levels--;
		top->slot[0] = NULL;
		node_free(in, top);
	}
}
