//! `osis check`

use osis_migrate::check::{Checked, Finding, Mode, check};
use serde_json::json;

use super::print;
use crate::args::{Check, Common};
use crate::failure::Failure;
use crate::progress;
use crate::stores::{self, Purpose};

pub(super) async fn run(common: &Common, options: &Check) -> Result<(), Failure> {
    let store = stores::open(common, Purpose::Use)?;
    let mode = match options.repair {
        true => Mode::Repair,
        false => Mode::Look,
    };
    let bar = progress::counter("checked");
    let checked = check(&store, mode, &mut |n| bar.inc(n)).await?;
    bar.finish_and_clear();
    store.close().await?;
    tell(common, options, &checked);
    match checked.problems.len() {
        0 => Ok(()),
        1 => Err(Failure::new("1 problem")),
        n => Err(Failure::new(format!("{n} problems"))),
    }
}

fn tell(common: &Common, options: &Check, checked: &Checked) {
    if common.json {
        let mut told = json!({ "problems": checked.problems });
        if options.repair {
            told["repaired"] = json!(checked.repaired);
        }
        print(told);
        return;
    }
    for repaired in &checked.repaired {
        print(format_args!("repaired: {}", line(repaired)));
    }
    for problem in &checked.problems {
        print(line(problem));
    }
    if checked.problems.is_empty() {
        print("no problems");
    }
}

fn line(finding: &Finding) -> String {
    let place = match (&finding.path, finding.line) {
        (Some(path), Some(line)) => format!("{path}:{line}: "),
        (Some(path), None) => format!("{path}: "),
        (None, _) => String::new(),
    };
    let object = match (&finding.type_name, &finding.id) {
        (Some(name), Some(id)) => format!("{name} {id} "),
        _ => String::new(),
    };
    format!("{place}{object}{}", finding.message)
}
