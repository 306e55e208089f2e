//! Whatever bytes a log holds, reading them never panics, and what is read can be written again.
//!
//! Run it with `cargo +nightly fuzz run decode`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema_mirror::core::entry::Reader;
use schema_mirror::core::key::KeyReading;
use schema_mirror::core::key::read_key;
use schema_mirror::core::record::Record;
use schema_mirror::core::dialect::Dialect;
use schema_mirror::core::value::Edit;
use schema_mirror::core::value::edited;

fuzz_target!(|input: (Option<Vec<u8>>, Option<Vec<u8>>)| {
    let (key, value) = input;
    if let Some(bytes) = &key
        && let KeyReading::Known(known) = read_key(bytes)
    {
        assert_eq!(read_key(&known.canonical()), KeyReading::Known(known), "a key reads back");
    }
    if let Some(bytes) = &value {
        let edit = Edit { subject: Some(":.a:b".to_owned()), ..Edit::default() };
        if let Ok(made) = edited(bytes, &edit) {
            assert!(serde_json_reads(&made), "an edited value is an object");
        }
    }
    let record = Record {
        key: key.map(Into::into),
        value: value.map(Into::into),
        ..Record::default()
    };
    for dialect in Dialect::ALL {
        let _ = Reader::new(dialect).read(&record);
    }
});

fn serde_json_reads(bytes: &[u8]) -> bool {
    schema_mirror::core::json::Object::parse(bytes).is_ok()
}
