//! `shmq create`: makes a queue of bytes that stays.

use crate::arguments::Create;
use crate::failure::{self, Failure};
use crate::text;
use shmq::{CreateError, Queue};

pub fn run(arguments: &Create) -> Result<u8, Failure> {
    let mut builder = Queue::<[u8]>::builder()
        .name(&arguments.name)
        .capacity_bytes(arguments.capacity_bytes)
        .mode(arguments.mode)
        .persist(true);
    if let Some(capacity) = arguments.capacity {
        builder = builder.capacity(capacity);
    }
    if let Some(schema) = &arguments.schema {
        builder = builder.schema(schema);
    }
    match arguments.allowed.apply_to(builder).create() {
        Ok(_) => Ok(0),
        Err(CreateError::AlreadyExists { in_use, .. }) => {
            let why = if in_use { "a process uses it" } else { "it is kept; `shmq rm` removes it" };
            let name = text::quoted(&arguments.name);
            Err(Failure::new(failure::OTHER, format!("there is a queue {name} already, and {why}")))
        }
        Err(error) => Err(Failure::create(&arguments.name, &error)),
    }
}
