//! Calls, checked and typed: what is done with them knows no JSON any more.
//!
//! Every reader notes its faults and goes on, so that a caller learns all of them at once. Whether
//! the store agrees is not asked here.

mod feed;
mod figures;
mod reads;
mod simple;
mod writes;

use osis_core::Schema;
use osis_core::error::Faults;

pub(crate) use feed::Changes;
pub(crate) use figures::Figures;
pub(crate) use reads::{Count, Find, Get, ListPage};
pub(crate) use writes::{Form, Write};

use crate::envelope::Call;
use crate::error::{Reason, WireError};
use crate::methods::{Action, Methods, Verb};
use crate::params::{Args, cut};

/// A call that can be carried out.
#[derive(Debug)]
pub(crate) enum Request {
    /// It changes the store.
    Write(Write),
    /// It reads, at once.
    Read(Read),
    /// It waits for a change.
    Wait(Changes),
}

/// A call that reads.
#[derive(Debug)]
pub(crate) enum Read {
    /// `T_get`
    Get(Get),
    /// `T_list`
    List(ListPage),
    /// `T_find`
    Find(Box<Find>),
    /// `T_count`
    Count(Count),
    /// `T_aggregate`
    Aggregate(Figures),
    /// `osis_changes`
    Changes(Changes),
    /// `osis_info`
    Info,
    /// `rpc.discover`
    Discover,
}

/// Reads calls against a schema and its methods.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Requests<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) methods: &'a Methods,
}

impl Requests<'_> {
    /// Reads a call.
    ///
    /// # Errors
    /// Method not found; `invalid` with all faults of the parameters.
    pub(crate) fn read(&self, call: Call) -> Result<Request, WireError> {
        let Some(method) = self.methods.find(&call.method) else {
            let message = format!(
                "there is no method {:?}; rpc.discover lists them",
                cut(&call.method)
            );
            return Err(WireError::new(Reason::MethodNotFound, message));
        };
        let mut faults = Faults::default();
        let mut args = Args::bind(method.action.params(), call.params, &mut faults);
        let request = match method.action {
            Action::Of(type_id, verb) => {
                let ty = &self.schema.types[type_id];
                match verb {
                    Verb::Get => reads::get(ty, &args, &mut faults).map(Read::Get),
                    Verb::List => reads::list(ty, &args, &mut faults).map(Read::List),
                    Verb::Find => {
                        reads::find(ty, &args, &mut faults).map(|find| Read::Find(Box::new(find)))
                    }
                    Verb::Count => reads::count(ty, &args, &mut faults).map(Read::Count),
                    Verb::Aggregate => {
                        figures::figures(ty, &args, &mut faults).map(Read::Aggregate)
                    }
                    Verb::New | Verb::Set | Verb::Delete | Verb::Ingest => {
                        let op = writes::op(self.schema, ty, verb, &mut args, &mut faults);
                        return finish(op.map(Write::one).map(Request::Write), faults);
                    }
                }
                .map(Request::Read)
            }
            Action::Transaction => return self.transaction(args, faults).map(Request::Write),
            Action::Seed => writes::seed(self.schema, &args, &mut faults)
                .map(Write::one)
                .map(Request::Write),
            Action::Changes => feed::changes(self.schema, &args, &mut faults).map(|changes| {
                match changes.wait.is_zero() {
                    true => Request::Read(Read::Changes(changes)),
                    false => Request::Wait(changes),
                }
            }),
            Action::Info => Some(Request::Read(Read::Info)),
            Action::Discover => Some(Request::Read(Read::Discover)),
        };
        finish(request, faults)
    }
}

/// The request if there is no fault, else all faults.
fn finish<T>(request: Option<T>, faults: Faults) -> Result<T, WireError> {
    faults.finish()?;
    // A reader that gives nothing has noted why.
    request.ok_or_else(WireError::internal)
}
