"""What both sides must agree on: names of files, shapes of records, frames on the wire, settings, durable writing."""
