//! `osis schema show`

use super::print;
use crate::args::Common;
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
