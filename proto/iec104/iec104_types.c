/*
 * How the ASDU of each type identification looks on the wire (60870-5-101 7.3, 60870-5-104 8,
 * 60870-5-7 for security): a row per type that names its elements in order, the causes of
 * transmission it is sent with, and how many objects it may have.
 */
#include "proto/iec104/iec104.h"
#include "proto/iec104/iec104_shapes.h"

#define C(cause) (UINT64_C(1) << (cause))
/* Interrogated by station or group; requested by counter interrogation; refusals, 60870-5-101 7.2.3. */
#define INTERROGATED (UINT64_C(0x1ffff) << 20)
#define COUNTERS_REQUESTED (UINT64_C(0x1f) << 37)
#define REFUSED (UINT64_C(0xf) << 44)
/* Time tags and interrogation exclude each other in the standard, but not in the field: both pass here. */
#define MONITORED (C(1) | C(2) | C(3) | C(5) | C(11) | C(12) | INTERROGATED)
#define INTEGRATED (C(1) | C(2) | C(3) | C(5) | COUNTERS_REQUESTED)
#define CONFIRMED (C(6) | C(7) | REFUSED)
#define COMMANDED (CONFIRMED | C(8) | C(9) | C(10))
#define AUTHENTICATED (C(14) | C(15) | C(16) | REFUSED)

#define V(id) (UINT64_C(1) << IEC104_VALUE_##id)
#define CMD(id) (UINT64_C(1) << IEC104_COMMAND_##id)
#define S(id) (UINT64_C(1) << IEC104_SYSTEM_##id)
#define FILE_(id) (UINT64_C(1) << IEC104_FILE_##id)
#define E(kind, present) { present, IEC104_KIND_##kind }

#define SIQ E(SIQ, V(POINT) | V(STATE) | V(QUALITY) | V(SIQ))
#define DIQ E(DIQ, V(POINT) | V(STATE) | V(QUALITY) | V(DIQ))
#define VTI E(VTI, V(STEP) | V(TRANSIENT))
#define BSI E(BSI, V(BITS))
#define NVA E(NVA, V(FLOAT) | V(NVA))
#define SVA E(SVA, V(INTEGER))
#define R32 E(R32, V(FLOAT))
#define BCR E(BCR, V(INTEGER) | V(SEQUENCE) | V(COUNTER_QUALITY) | V(BCR))
#define QDS E(QDS, V(QUALITY) | V(QDS))
#define QDP E(QDP, V(QUALITY) | V(QDP))
#define SEP E(SEP, V(POINT) | V(STATE) | V(QUALITY) | V(SEP))
#define SPE E(SPE, V(POINT) | V(START))
#define OCI E(OCI, V(POINT) | V(OUTPUT))
#define SHORT_TIME E(CP24, V(MINUTE) | V(TIME_QUALITY))
/* The bits of the time are those of every shape. */
#define LONG_TIME E(CP56, V(TIMESTAMP) | V(TIME_QUALITY))

typedef const struct iec104_element elements_of[];

static elements_of single = { SIQ };
static elements_of single_short = { SIQ, SHORT_TIME };
static elements_of single_long = { SIQ, LONG_TIME };
static elements_of doubled = { DIQ };
static elements_of doubled_short = { DIQ, SHORT_TIME };
static elements_of doubled_long = { DIQ, LONG_TIME };
static elements_of step = { VTI, QDS };
static elements_of step_short = { VTI, QDS, SHORT_TIME };
static elements_of step_long = { VTI, QDS, LONG_TIME };
static elements_of bits = { BSI, QDS };
static elements_of bits_short = { BSI, QDS, SHORT_TIME };
static elements_of bits_long = { BSI, QDS, LONG_TIME };
static elements_of normalised = { NVA, QDS };
static elements_of normalised_short = { NVA, QDS, SHORT_TIME };
static elements_of normalised_long = { NVA, QDS, LONG_TIME };
static elements_of normalised_bare = { NVA };
static elements_of scaled = { SVA, QDS };
static elements_of scaled_short = { SVA, QDS, SHORT_TIME };
static elements_of scaled_long = { SVA, QDS, LONG_TIME };
static elements_of floating = { R32, QDS };
static elements_of floating_short = { R32, QDS, SHORT_TIME };
static elements_of floating_long = { R32, QDS, LONG_TIME };
static elements_of totals = { BCR };
static elements_of totals_short = { BCR, SHORT_TIME };
static elements_of totals_long = { BCR, LONG_TIME };
static elements_of statistics = { E(AID, V(AID)), BCR, LONG_TIME };
static elements_of packed_points = { E(SCD, V(STATUS) | V(CHANGE)), QDS };
static elements_of protection_short = { SEP, E(CP16, V(ELAPSED)), SHORT_TIME };
static elements_of protection_long = { SEP, E(CP16, V(ELAPSED)), LONG_TIME };
static elements_of start_short = { SPE, QDP, E(CP16, V(DURATION)), SHORT_TIME };
static elements_of start_long = { SPE, QDP, E(CP16, V(DURATION)), LONG_TIME };
static elements_of output_short = { OCI, QDP, E(CP16, V(OPERATING)), SHORT_TIME };
static elements_of output_long = { OCI, QDP, E(CP16, V(OPERATING)), LONG_TIME };

#define QU_SE (CMD(POINT) | CMD(QU) | CMD(QU_NAME) | CMD(SE))
#define SCO E(SCO, CMD(STATE) | QU_SE | CMD(SCO))
#define DCO E(DCO, CMD(STATE) | QU_SE | CMD(DCO))
#define RCO E(RCO, CMD(STATE) | QU_SE | CMD(RCO))
#define QOS E(QOS, CMD(QL) | CMD(SE) | CMD(QOS))
static elements_of single_command = { SCO };
static elements_of single_command_time = { SCO, LONG_TIME };
static elements_of double_command = { DCO };
static elements_of double_command_time = { DCO, LONG_TIME };
static elements_of step_command = { RCO };
static elements_of step_command_time = { RCO, LONG_TIME };
static elements_of set_normalised = { E(NVA, CMD(FLOAT) | CMD(NVA)), QOS };
static elements_of set_normalised_time = { E(NVA, CMD(FLOAT) | CMD(NVA)), QOS, LONG_TIME };
static elements_of set_scaled = { E(SVA, CMD(INTEGER)), QOS };
static elements_of set_scaled_time = { E(SVA, CMD(INTEGER)), QOS, LONG_TIME };
static elements_of set_floating = { E(R32, CMD(FLOAT)), QOS };
static elements_of set_floating_time = { E(R32, CMD(FLOAT)), QOS, LONG_TIME };
static elements_of set_bits = { E(BSI, CMD(BITS)) };
static elements_of set_bits_time = { E(BSI, CMD(BITS)), LONG_TIME };

#define QPM E(QPM, S(QPM) | S(KPA) | S(KPA_NAME) | S(PARAMETER_FLAGS))
static elements_of initialised = { E(COI, S(COI) | S(COI_NAME) | S(COI_CHANGED)) };
static elements_of interrogation = { E(QOI, S(QOI) | S(QOI_NAME)) };
static elements_of counter_interrogation = {
	E(QCC, S(QCC) | S(RQT) | S(RQT_NAME) | S(FRZ) | S(FRZ_NAME)),
};
static elements_of clock_time = { LONG_TIME };
static elements_of test_pattern = { E(FBP, S(FBP)) };
static elements_of reset_process = { E(QRP, S(QRP) | S(QRP_NAME)) };
static elements_of delay = { E(CP16, S(DELAY)) };
static elements_of test_counter = { E(TSC, S(TSC)), LONG_TIME };
static elements_of parameter_normalised = { E(NVA, S(FLOAT) | S(NVA)), QPM };
static elements_of parameter_scaled = { E(SVA, S(INTEGER)), QPM };
static elements_of parameter_floating = { E(R32, S(FLOAT)), QPM };
static elements_of parameter_activation = { E(QPA, S(QPA) | S(QPA_NAME)) };

#define NOF E(NOF, FILE_(NOF))
#define NOS E(NOS, FILE_(NOS))
#define LOF E(LOF, FILE_(LOF))
static elements_of file_ready = { NOF, LOF, E(FRQ, FILE_(FRQ) | FILE_(NEGATIVE)) };
static elements_of section_ready = { NOF, NOS, LOF, E(SRQ, FILE_(SRQ) | FILE_(NOT_READY)) };
static elements_of file_call = { NOF, NOS, E(SCQ, FILE_(SCQ) | FILE_(SCQ_NAME) | FILE_(ERROR) | FILE_(ERROR_NAME)) };
static elements_of last_segment = { NOF, NOS, E(LSQ, FILE_(LSQ) | FILE_(LSQ_NAME)), E(CHS, FILE_(CHS)) };
static elements_of file_acknowledge = {
	NOF, NOS, E(AFQ, FILE_(AFQ) | FILE_(AFQ_NAME) | FILE_(ERROR) | FILE_(ERROR_NAME)),
};
static elements_of segment = { NOF, NOS, E(SEGMENT, FILE_(LOS) | FILE_(DATA)) };
static elements_of directory = { NOF, LOF, E(SOF, FILE_(SOF) | FILE_(FILE_FLAGS)), LONG_TIME };
static elements_of log_query = { NOF, LONG_TIME, E(CP56_STOP, FILE_(STOP)) };

#define ROW(id, name, size, elements, shape, category, causes, flags) \
	[id] = { name, elements, causes, sizeof(elements) / sizeof((elements)[0]), size, IEC104_SHAPE_##shape, \
		IEC104_##category, flags },
#define MONITOR(id, name, size, elements, flags) \
	ROW(id, name, size, elements, VALUE, PROCESS_MONITOR, MONITORED, IEC104_MANY | (flags))
#define MONITOR_TIME(id, name, size, elements) \
	ROW(id, name, size, elements, VALUE_TIME, PROCESS_MONITOR, MONITORED, IEC104_MANY)
#define CONTROL(id, name, size, elements) ROW(id, name, size, elements, COMMAND, PROCESS_CONTROL, COMMANDED, 0)
#define SYSTEM(id, name, size, elements, causes, flags) \
	ROW(id, name, size, elements, SYSTEM, SYSTEM_CONTROL, causes, flags)
#define PARAMETER(id, name, size, elements, causes) ROW(id, name, size, elements, SYSTEM, PARAMETER, causes, 0)
#define TRANSFER(id, name, size, elements, causes, flags) ROW(id, name, size, elements, FILE, FILE, causes, flags)
#define SECURE(id, name) [id] = { name, NULL, AUTHENTICATED, 0, 0, 0, IEC104_SECURITY, IEC104_VARIABLE },

const struct iec104_type iec104_types[IEC104_TYPE_COUNT] = {
	MONITOR(1, "M_SP_NA_1", 1, single, IEC104_SEQUENCE)
	MONITOR_TIME(2, "M_SP_TA_1", 4, single_short)
	MONITOR(3, "M_DP_NA_1", 1, doubled, IEC104_SEQUENCE)
	MONITOR_TIME(4, "M_DP_TA_1", 4, doubled_short)
	MONITOR(5, "M_ST_NA_1", 2, step, IEC104_SEQUENCE)
	MONITOR_TIME(6, "M_ST_TA_1", 5, step_short)
	MONITOR(7, "M_BO_NA_1", 5, bits, IEC104_SEQUENCE)
	MONITOR_TIME(8, "M_BO_TA_1", 8, bits_short)
	MONITOR(9, "M_ME_NA_1", 3, normalised, IEC104_SEQUENCE)
	MONITOR_TIME(10, "M_ME_TA_1", 6, normalised_short)
	MONITOR(11, "M_ME_NB_1", 3, scaled, IEC104_SEQUENCE)
	MONITOR_TIME(12, "M_ME_TB_1", 6, scaled_short)
	MONITOR(13, "M_ME_NC_1", 5, floating, IEC104_SEQUENCE)
	MONITOR_TIME(14, "M_ME_TC_1", 8, floating_short)
	ROW(15, "M_IT_NA_1", 5, totals, VALUE, PROCESS_MONITOR, INTEGRATED, IEC104_MANY | IEC104_SEQUENCE)
	ROW(16, "M_IT_TA_1", 8, totals_short, VALUE_TIME, PROCESS_MONITOR, INTEGRATED, IEC104_MANY)
	ROW(17, "M_EP_TA_1", 6, protection_short, VALUE_TIME, PROCESS_MONITOR, C(3), IEC104_MANY)
	ROW(18, "M_EP_TB_1", 7, start_short, VALUE_TIME, PROCESS_MONITOR, C(3), 0)
	ROW(19, "M_EP_TC_1", 7, output_short, VALUE_TIME, PROCESS_MONITOR, C(3), 0)
	MONITOR(20, "M_PS_NA_1", 5, packed_points, IEC104_SEQUENCE)
	MONITOR(21, "M_ME_ND_1", 2, normalised_bare, IEC104_SEQUENCE)
	MONITOR_TIME(30, "M_SP_TB_1", 8, single_long)
	MONITOR_TIME(31, "M_DP_TB_1", 8, doubled_long)
	MONITOR_TIME(32, "M_ST_TB_1", 9, step_long)
	MONITOR_TIME(33, "M_BO_TB_1", 12, bits_long)
	MONITOR_TIME(34, "M_ME_TD_1", 10, normalised_long)
	MONITOR_TIME(35, "M_ME_TE_1", 10, scaled_long)
	MONITOR_TIME(36, "M_ME_TF_1", 12, floating_long)
	ROW(37, "M_IT_TB_1", 12, totals_long, VALUE_TIME, PROCESS_MONITOR, INTEGRATED, IEC104_MANY)
	ROW(38, "M_EP_TD_1", 10, protection_long, VALUE_TIME, PROCESS_MONITOR, C(3), IEC104_MANY)
	ROW(39, "M_EP_TE_1", 11, start_long, VALUE_TIME, PROCESS_MONITOR, C(3), 0)
	ROW(40, "M_EP_TF_1", 11, output_long, VALUE_TIME, PROCESS_MONITOR, C(3), 0)
	ROW(41, "S_IT_TC_1", 14, statistics, VALUE_TIME, SECURITY, INTEGRATED, IEC104_MANY)
	CONTROL(45, "C_SC_NA_1", 1, single_command)
	CONTROL(46, "C_DC_NA_1", 1, double_command)
	CONTROL(47, "C_RC_NA_1", 1, step_command)
	CONTROL(48, "C_SE_NA_1", 3, set_normalised)
	CONTROL(49, "C_SE_NB_1", 3, set_scaled)
	CONTROL(50, "C_SE_NC_1", 5, set_floating)
	CONTROL(51, "C_BO_NA_1", 4, set_bits)
	CONTROL(58, "C_SC_TA_1", 8, single_command_time)
	CONTROL(59, "C_DC_TA_1", 8, double_command_time)
	CONTROL(60, "C_RC_TA_1", 8, step_command_time)
	CONTROL(61, "C_SE_TA_1", 10, set_normalised_time)
	CONTROL(62, "C_SE_TB_1", 10, set_scaled_time)
	CONTROL(63, "C_SE_TC_1", 12, set_floating_time)
	CONTROL(64, "C_BO_TA_1", 11, set_bits_time)
	ROW(70, "M_EI_NA_1", 1, initialised, SYSTEM, SYSTEM_MONITOR, C(4), IEC104_ZERO_ADDRESS)
	SECURE(81, "S_CH_NA_1")
	SECURE(82, "S_RP_NA_1")
	SECURE(83, "S_AR_NA_1")
	SECURE(84, "S_KR_NA_1")
	SECURE(85, "S_KS_NA_1")
	SECURE(86, "S_KC_NA_1")
	SECURE(87, "S_ER_NA_1")
	SECURE(90, "S_US_NA_1")
	SECURE(91, "S_UQ_NA_1")
	SECURE(92, "S_UR_NA_1")
	SECURE(93, "S_UK_NA_1")
	SECURE(94, "S_UA_NA_1")
	SECURE(95, "S_UC_NA_1")
	SYSTEM(100, "C_IC_NA_1", 1, interrogation, COMMANDED, IEC104_ZERO_ADDRESS | IEC104_BROADCAST)
	SYSTEM(101, "C_CI_NA_1", 1, counter_interrogation, COMMANDED, IEC104_ZERO_ADDRESS | IEC104_BROADCAST)
	[102] = { "C_RD_NA_1", NULL, C(5) | REFUSED, 0, 0, IEC104_SHAPE_SYSTEM, IEC104_SYSTEM_CONTROL, 0 },
	SYSTEM(103, "C_CS_NA_1", 7, clock_time, CONFIRMED | C(3), IEC104_ZERO_ADDRESS | IEC104_BROADCAST)
	SYSTEM(104, "C_TS_NA_1", 2, test_pattern, CONFIRMED, IEC104_ZERO_ADDRESS)
	SYSTEM(105, "C_RP_NA_1", 1, reset_process, CONFIRMED, IEC104_ZERO_ADDRESS | IEC104_BROADCAST)
	SYSTEM(106, "C_CD_NA_1", 2, delay, CONFIRMED | C(3), IEC104_ZERO_ADDRESS)
	SYSTEM(107, "C_TS_TA_1", 9, test_counter, CONFIRMED, IEC104_ZERO_ADDRESS)
	PARAMETER(110, "P_ME_NA_1", 3, parameter_normalised, CONFIRMED | INTERROGATED)
	PARAMETER(111, "P_ME_NB_1", 3, parameter_scaled, CONFIRMED | INTERROGATED)
	PARAMETER(112, "P_ME_NC_1", 5, parameter_floating, CONFIRMED | INTERROGATED)
	PARAMETER(113, "P_AC_NA_1", 1, parameter_activation, CONFIRMED | C(8) | C(9))
	TRANSFER(120, "F_FR_NA_1", 6, file_ready, C(13) | REFUSED, 0)
	TRANSFER(121, "F_SR_NA_1", 7, section_ready, C(13) | REFUSED, 0)
	TRANSFER(122, "F_SC_NA_1", 4, file_call, C(5) | C(13) | REFUSED, 0)
	TRANSFER(123, "F_LS_NA_1", 5, last_segment, C(13) | REFUSED, 0)
	TRANSFER(124, "F_AF_NA_1", 4, file_acknowledge, C(13) | REFUSED, 0)
	TRANSFER(125, "F_SG_NA_1", 4, segment, C(13) | REFUSED, IEC104_VARIABLE)
	TRANSFER(126, "F_DR_TA_1", 13, directory, C(3) | C(5), IEC104_MANY | IEC104_SEQUENCE)
	TRANSFER(127, "F_SC_NB_1", 16, log_query, C(5) | C(13) | REFUSED, 0)
};
