//! A digest of all content, the same on two stores that hold the same, whatever their engines.

use std::collections::BTreeMap;

use osis_core::backend::Scope;
use osis_core::output::Whole;
use osis_core::rollup::{Cell, text};
use osis_core::schema::{Schema, Type};
use osis_core::store::Principal;
use osis_core::{Error, Id, Result, Store};
use sha2::{Digest as _, Sha256};

use crate::Progress;
use crate::view::{View, each_cell, is_rolled_up};

/// The content of one type or roll-up: how many, and a digest that does not depend on their order.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TypeDigest {
    /// How many objects, or cells, there are.
    pub count: u64,
    /// Lower-case hex of 256 bits.
    pub digest: String,
}

/// The content of a store, or of something else.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Digests {
    /// Of the objects of each type, by its name.
    pub types: BTreeMap<String, TypeDigest>,
    /// Of the cells of each type that is rolled up, by its name, where the view has them.
    pub rollups: BTreeMap<String, TypeDigest>,
}

/// The digest of each type of a store, by name, as of one moment.
///
/// # Errors
/// Those of the engine.
pub async fn digest(store: &Store, who: &Principal, progress: Progress<'_>) -> Result<Digests> {
    let mut reader = store.read(who, Scope::Consistent, None).await?;
    of_view(store.schema(), &mut reader, progress).await
}

/// The digest of each type of what a view shows, by name.
///
/// # Errors
/// Those of the view.
pub async fn of_view(
    schema: &Schema,
    view: &mut dyn View,
    progress: Progress<'_>,
) -> Result<Digests> {
    let mut digests = Digests::default();
    for ty in &schema.types {
        let objects = of_type(ty, view, &mut *progress).await?;
        digests.types.insert(ty.name.clone(), objects);
        if let Some(cells) = of_rollup(ty, view, &mut *progress).await? {
            digests.rollups.insert(ty.name.clone(), cells);
        }
    }
    Ok(digests)
}

/// The digest of a type's roll-up; nothing where it has none, or the view does not have it.
async fn of_rollup(
    ty: &Type,
    view: &mut dyn View,
    progress: Progress<'_>,
) -> Result<Option<TypeDigest>> {
    if !is_rolled_up(ty) {
        return Ok(None);
    }
    let (mut sum, mut count) = (Sum::default(), 0);
    let mut add = |cell: &Cell| {
        sum.add(text::Shown { ty, cell }.text()?.as_bytes());
        count += 1;
        progress(1);
        Ok(())
    };
    let is_there = each_cell(view, ty, &mut add).await?;
    let digest = sum.hex();
    Ok(is_there.then_some(TypeDigest { count, digest }))
}

/// The digest of one type.
async fn of_type(ty: &Type, view: &mut dyn View, progress: Progress<'_>) -> Result<TypeDigest> {
    let mut sum = Sum::default();
    let mut count = 0;
    let mut after: Option<Id> = None;
    loop {
        let page = view.page(ty.id, after.as_ref()).await?;
        for row in &page.rows {
            let text = serde_json::to_vec(&Whole {
                ty,
                row,
                secrets: true,
            })
            .map_err(|e| Error::internal(format!("cannot write {} {}", ty.name, row.id), e))?;
            sum.add(&text);
        }
        count += page.rows.len() as u64;
        progress(page.rows.len() as u64);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok(TypeDigest {
        count,
        digest: sum.hex(),
    })
}

/// The sum modulo 2^256 of the SHA-256 of each object. Unlike exclusive or, it does not lose an
/// object that is there twice.
#[derive(Default)]
struct Sum([u8; 32]);

impl Sum {
    fn add(&mut self, object: &[u8]) {
        let mut carry = false;
        for (own, other) in self
            .0
            .iter_mut()
            .rev()
            .zip(Sha256::digest(object).iter().rev())
        {
            let (sum, over) = own.overflowing_add(*other);
            let (sum, over_by_carry) = sum.overflowing_add(u8::from(carry));
            (*own, carry) = (sum, over || over_by_carry);
        }
    }

    fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
