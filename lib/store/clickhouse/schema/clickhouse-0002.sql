-- The flow that a record is of, and which of the flow's records it is: those of before have none.
ALTER TABLE records ADD COLUMN flow_id Nullable(Int64), ADD COLUMN flow_part Nullable(Int64);
