-- The records: on each replica of each shard. $shard and $replica are filled in. The columns are those that questions filter
-- and count by; `line` is the record as it came. A table that is made now has what later steps add: as a new replica's it must be
-- what its shard's has become.
CREATE TABLE IF NOT EXISTS records
(
	part UInt32,
	block UInt64,
	id Int64,
	sensor String,
	epoch UInt64,
	lane UInt8,
	seq UInt64,
	ts_ns Int64,
	event_type String,
	proto Nullable(String),
	app_proto Nullable(String),
	src_ip String,
	src_port Nullable(Int64),
	dest_ip String,
	dest_port Nullable(Int64),
	signature_id Nullable(Int64),
	severity Nullable(Int64),
	function Nullable(Int64),
	response_function Nullable(Int64),
	packets Nullable(Int64),
	bytes Nullable(Int64),
	len UInt32,
	line String,
	flow_id Nullable(Int64),
	flow_part Nullable(Int64)
)
ENGINE = ReplicatedMergeTree('/millrace/$database/$shard/records', '$replica')
PARTITION BY part
ORDER BY (event_type, ts_ns, id);
