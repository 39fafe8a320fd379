//! People as other people know them: by name, with the badge.

use super::{noted, t};
use crate::base::Result;
use crate::catalog::{Connection, officers};

/// An officer by the badge: `张伟（18050001）`; the badge alone where nobody has it.
pub fn badge(db: &Connection, badge: &str) -> Result<String> {
    Ok(officers::by_badge(db, badge)?.map_or_else(|| badge.to_owned(), |o| noted(&o.name, badge)))
}

/// Who acted, as the custody log has it (`officer:<badge> via command:<user>`): in whose name, and who typed
/// it; what is no such name stays as it is.
pub fn actor(db: &Connection, text: &str) -> Result<String> {
    let (who, via) = text.split_once(" via ").map_or((text, None), |(who, via)| (who, Some(via)));
    let who = match who.split_once(':') {
        Some(("officer", number)) => badge(db, number)?,
        Some(("command", user)) => noted(user, t("command line", "命令行")),
        _ if who == "daemon" => t("docket itself", "采集服务").to_owned(),
        _ => who.to_owned(),
    };
    Ok(match via {
        Some(via) => {
            let user = via.strip_prefix("command:").unwrap_or(via);
            format!("{who}{}{user}", t(", typed by ", "，录入账户 "))
        }
        None => who,
    })
}
