/*
 * The fields of each shape of information object: X(id, JSON key, type, member, names, help).
 * An id becomes a presence bit and a row of the shape's table. The two of the time are the
 * same in every shape, because one reader of CP56Time2a serves them all.
 */
#ifndef MR_PROTO_IEC104_IEC104_SHAPES_H
#define MR_PROTO_IEC104_IEC104_SHAPES_H

#define IEC104_TIME_FIELDS(X) \
	X(TIMESTAMP, "timestamp", TIME, timestamp, NULL, "time tag, as the station's clock shows it") \
	X(TIME_QUALITY, "time_quality", NAMES8, time_flags, &time_qualities, "what the time tag says of itself")

#define IEC104_VALUE_FIELDS(X) \
	X(POINT, "value", U8, value.u8, NULL, "state of the point") \
	X(STATE, "value_name", U8, state, &states, "name of the state") \
	X(STEP, "value", I8, value.i8, NULL, "step position, -64 to 63") \
	X(TRANSIENT, "transient", BOOL, flag, NULL, "the equipment moves between steps") \
	X(BITS, "value", U32, value.u32, NULL, "bit string") \
	X(FLOAT, "value", F32, value.f32, NULL, "measured value; -1 to 1 when normalised") \
	X(INTEGER, "value", I32, value.i32, NULL, "scaled value, or counter reading") \
	X(STATUS, "value", U16, value.status.state, NULL, "states of 16 points, bit 0 the first") \
	X(CHANGE, "change_detection", U16, value.status.change, NULL, "which of them changed") \
	X(START, "start_events", NAMES8, value.u8, &start_events, "which protection functions picked up") \
	X(OUTPUT, "output_circuits", NAMES8, value.u8, &output_circuits, "which circuits were commanded to open") \
	X(QUALITY, "quality", NAMES8, quality, &qualities, "quality bits that are set") \
	X(COUNTER_QUALITY, "quality", NAMES8, quality, &counter_qualities, "quality bits that are set") \
	X(SEQUENCE, "sequence", U8, qualifier, NULL, "sequence number of the counter reading") \
	X(NVA, "nva", I16, raw, NULL, "normalised value as sent, -32768 to 32767") \
	X(ELAPSED, "elapsed_time_ms", U16, interval_ms, NULL, "elapsed time") \
	X(DURATION, "relay_duration_ms", U16, interval_ms, NULL, "relay duration time") \
	X(OPERATING, "relay_operating_time_ms", U16, interval_ms, NULL, "relay operating time") \
	X(AID, "association_id", U16, raw, NULL, "security association") \
	X(SIQ, "siq", U8, octet, NULL, "single point with quality, as sent") \
	X(DIQ, "diq", U8, octet, NULL, "double point with quality, as sent") \
	X(QDS, "qds", U8, octet, NULL, "quality descriptor, as sent") \
	X(QDP, "qdp", U8, octet, NULL, "quality descriptor of protection equipment, as sent") \
	X(SEP, "sep", U8, octet, NULL, "single event of protection equipment, as sent") \
	X(BCR, "bcr", U8, octet, NULL, "last octet of the counter reading, as sent")

#define IEC104_VALUE_TIME_FIELDS(X) \
	X(MINUTE, "minute_ms", U32, minute_ms, NULL, "short time tag: ms since the full hour")

#define IEC104_COMMAND_FIELDS(X) \
	X(POINT, "value", U8, value.u8, NULL, "state that is commanded") \
	X(STATE, "value_name", U8, state, &states, "name of the state or step") \
	X(BITS, "value", U32, value.u32, NULL, "bit string") \
	X(FLOAT, "value", F32, value.f32, NULL, "set point; -1 to 1 when normalised") \
	X(INTEGER, "value", I32, value.i32, NULL, "set point") \
	X(SE, "select", BOOL, flag, NULL, "true: select; false: execute") \
	X(QU, "qu", U8, qualifier, NULL, "qualifier of command") \
	X(QU_NAME, "qu_name", U8, qualifier, &command_qualifiers, "name of qu") \
	X(QL, "ql", U8, qualifier, NULL, "qualifier of set point command") \
	X(NVA, "nva", I16, raw, NULL, "normalised value as sent, -32768 to 32767") \
	X(SCO, "sco", U8, octet, NULL, "single command, as sent") \
	X(DCO, "dco", U8, octet, NULL, "double command, as sent") \
	X(RCO, "rco", U8, octet, NULL, "regulating step command, as sent") \
	X(QOS, "qos", U8, octet, NULL, "qualifier of set point command, as sent")

#define IEC104_SYSTEM_FIELDS(X) \
	X(FLOAT, "value", F32, value.f32, NULL, "parameter of measured values; -1 to 1 when normalised") \
	X(INTEGER, "value", I32, value.i32, NULL, "parameter of measured values") \
	X(NVA, "nva", I16, raw, NULL, "normalised value as sent, -32768 to 32767") \
	X(COI, "coi", U8, octet, NULL, "cause of initialisation, as sent") \
	X(COI_NAME, "coi_name", U8, qualifier, &initialisation_causes, "name of the cause") \
	X(COI_CHANGED, "local_parameters_changed", BOOL, flag, NULL, "local parameters were changed before") \
	X(QOI, "qoi", U8, octet, NULL, "qualifier of interrogation") \
	X(QOI_NAME, "qoi_name", U8, qualifier, &interrogations, "name of qoi") \
	X(QCC, "qcc", U8, octet, NULL, "qualifier of counter interrogation, as sent") \
	X(RQT, "rqt", U8, qualifier, NULL, "which counters are asked for") \
	X(RQT_NAME, "rqt_name", U8, qualifier, &counter_requests, "name of rqt") \
	X(FRZ, "frz", U8, flag, NULL, "freeze and reset") \
	X(FRZ_NAME, "frz_name", U8, flag, &counter_freezes, "name of frz") \
	X(QRP, "qrp", U8, octet, NULL, "qualifier of reset process") \
	X(QRP_NAME, "qrp_name", U8, qualifier, &resets, "name of qrp") \
	X(QPM, "qpm", U8, octet, NULL, "qualifier of parameter of measured values, as sent") \
	X(KPA, "kpa", U8, qualifier, NULL, "kind of parameter") \
	X(KPA_NAME, "kpa_name", U8, qualifier, &parameter_kinds, "name of kpa") \
	X(PARAMETER_FLAGS, "parameter_flags", NAMES8, flag, &parameter_flags, "what is true of the parameter") \
	X(QPA, "qpa", U8, octet, NULL, "qualifier of parameter activation") \
	X(QPA_NAME, "qpa_name", U8, qualifier, &parameter_activations, "name of qpa") \
	X(FBP, "fbp", U16, value.status.state, NULL, "fixed test bit pattern, 0x55aa") \
	X(TSC, "tsc", U16, value.status.state, NULL, "test sequence counter") \
	X(DELAY, "delay_ms", U16, interval_ms, NULL, "delay to acquire or to add")

#define IEC104_FILE_FIELDS(X) \
	X(NOF, "nof", U16, nof, NULL, "name of file") \
	X(NOS, "nos", U8, nos, NULL, "name of section") \
	X(LOF, "lof", U32, length, NULL, "length of file or section") \
	X(LOS, "los", U32, length, NULL, "length of segment") \
	X(FRQ, "frq", U8, at.octet, NULL, "file ready qualifier, as sent") \
	X(NEGATIVE, "negative", BOOL, at.flag, NULL, "select, request, deactivate or delete is refused") \
	X(SRQ, "srq", U8, at.octet, NULL, "section ready qualifier, as sent") \
	X(NOT_READY, "not_ready", BOOL, at.flag, NULL, "the section is not ready to be loaded") \
	X(SCQ, "scq", U8, at.octet, NULL, "select and call qualifier, as sent") \
	X(SCQ_NAME, "scq_name", U8, at.qualifier, &file_calls, "name of what is asked for") \
	X(LSQ, "lsq", U8, at.octet, NULL, "last section or segment qualifier") \
	X(LSQ_NAME, "lsq_name", U8, at.qualifier, &file_lasts, "name of lsq") \
	X(CHS, "chs", U8, chs, NULL, "checksum: sum of the octets") \
	X(AFQ, "afq", U8, at.octet, NULL, "acknowledge file or section qualifier, as sent") \
	X(AFQ_NAME, "afq_name", U8, at.qualifier, &file_acknowledges, "name of the acknowledgement") \
	X(ERROR, "error", U8, at.flag, NULL, "what went wrong") \
	X(ERROR_NAME, "error_name", U8, at.flag, &file_errors, "name of error") \
	X(SOF, "sof", U8, at.octet, NULL, "status of file, as sent") \
	X(FILE_FLAGS, "file_flags", NAMES8, at.quality, &file_flags, "what is true of the file") \
	X(STOP, "stop_timestamp", TIME, stop_timestamp, NULL, "end of the time that is asked for") \
	X(DATA, "data", HEX, data, NULL, "octets of the segment")

#define IEC104_VALUE_ID(id, key, type, member, names, help) IEC104_VALUE_##id,
#define IEC104_COMMAND_ID(id, key, type, member, names, help) IEC104_COMMAND_##id,
#define IEC104_SYSTEM_ID(id, key, type, member, names, help) IEC104_SYSTEM_##id,
#define IEC104_FILE_ID(id, key, type, member, names, help) IEC104_FILE_##id,

enum iec104_value_bit {
	IEC104_TIME_FIELDS(IEC104_VALUE_ID) IEC104_VALUE_FIELDS(IEC104_VALUE_ID) IEC104_VALUE_TIME_FIELDS(IEC104_VALUE_ID)
	IEC104_VALUE_END
};
enum iec104_command_bit {
	IEC104_TIME_FIELDS(IEC104_COMMAND_ID) IEC104_COMMAND_FIELDS(IEC104_COMMAND_ID) IEC104_COMMAND_END
};
enum iec104_system_bit {
	IEC104_TIME_FIELDS(IEC104_SYSTEM_ID) IEC104_SYSTEM_FIELDS(IEC104_SYSTEM_ID) IEC104_SYSTEM_END
};
enum iec104_file_bit {
	IEC104_TIME_FIELDS(IEC104_FILE_ID) IEC104_FILE_FIELDS(IEC104_FILE_ID) IEC104_FILE_END
};

#endif
