/* What a source knows of a frame beyond the mbuf's own fields, in a dynamic field of the mbuf. */
#ifndef MR_SENSOR_FRAME_META_H
#define MR_SENSOR_FRAME_META_H

#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

struct frame_meta {
	uint64_t frame_number; /* of the capture file, from 1; 0: live */
	uint32_t wire_len;
	uint16_t link_type;    /* enum packet_link */
	uint16_t reserved;
};

/** Offsets of the dynamic fields; -1 until frame_meta_register(). Written once, before any worker starts. */
extern int frame_meta_offset;
extern int frame_time_offset;
extern uint64_t frame_time_flag;

/** After rte_eal_init(). @return 0 or -errno */
int frame_meta_register(void);

static inline struct frame_meta *
frame_meta_of(struct rte_mbuf *mbuf)
{
	return RTE_MBUF_DYNFIELD(mbuf, frame_meta_offset, struct frame_meta *);
}

static inline rte_mbuf_timestamp_t *
frame_time_of(struct rte_mbuf *mbuf)
{
	return RTE_MBUF_DYNFIELD(mbuf, frame_time_offset, rte_mbuf_timestamp_t *);
}

#endif
