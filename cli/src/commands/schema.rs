//! `osis schema show`, `osis schema import`

use osis_core::schema::{Source, load};

use super::print;
use crate::args::{Common, SchemaImport};
use crate::failure::Failure;
use crate::stores::{self, Purpose};

pub(super) async fn show(common: &Common) -> Result<(), Failure> {
    let store = stores::open(common, Purpose::Use)?;
    let schema = store.schema();
    if common.json {
        print(schema.to_json());
    } else {
        print(schema.text.trim_end());
    }
    Ok(store.close().await?)
}

/// Prints a schema of the original OSIS as one of ours; no store is needed.
pub(super) fn import(common: &Common, options: &SchemaImport) -> Result<(), Failure> {
    let text = osis_migrate::oschema::import(&options.files, options.name.as_deref())?;
    if common.json {
        print(load(&[Source::new("the schema made of it", text)])?.to_json());
    } else {
        print(text.trim_end());
    }
    Ok(())
}
