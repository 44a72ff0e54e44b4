//! `chappe login`.

mod account;
mod password;
mod qr;

use std::io::{self, Write};
use std::path::PathBuf;

use chappe::api::{enums, functions, types};
use chappe::net::InvokeError;
use serde::Serialize;

use super::session::Destination;
use crate::application::{ApiHash, Application};
use crate::failure::{Blame, Failure, OrBlame as _, Result, Status};
use crate::output::{GOOD, Output, Report};
use crate::reach::{Place, Reach};
use crate::secrets::{first_line, prompt, question};
use account::{Account, User};

/// The environment variable with the token of a bot.
const BOT_TOKEN: &str = "CHAPPE_BOT_TOKEN";

/// Logs in, and writes the session for this or another library
///
/// By a code that Telegram sends, by the token of a bot (--bot), or by a QR code that another device scans (--qr). It asks
/// for what is needed: the phone number, the code, the two-factor password.
///
/// For example: `chappe login --output keys`, `chappe login --bot --to telethon --output session.txt`.
#[derive(clap::Args)]
pub(crate) struct Login {
    /// Logs a bot in, by its token from @BotFather
    #[arg(long, conflicts_with_all = ["qr", "phone"])]
    bot: bool,
    /// A file with the token of the bot; else it is CHAPPE_BOT_TOKEN, or asked for
    #[arg(long, value_name = "FILE", requires = "bot")]
    bot_token_file: Option<PathBuf>,
    /// Shows a QR code to scan in Telegram: Settings, Devices, Link Desktop Device
    #[arg(long, conflicts_with = "phone")]
    qr: bool,
    /// The phone number, in international form; asked for without this option
    #[arg(long, value_name = "NUMBER")]
    phone: Option<String>,
    #[command(flatten)]
    destination: Destination,
    /// The datacenter to begin with: a number, HOST:PORT, or `embedded`
    #[arg(long, value_name = "DC|ADDRESS", default_value = "2")]
    at: Place,
    #[command(flatten)]
    application: Application,
    #[command(flatten)]
    api_hash: ApiHash,
    #[command(flatten)]
    reach: Reach,
}

/// Who is logged in.
#[derive(Serialize)]
struct LoggedIn {
    user_id: i64,
    is_bot: bool,
    dc: u16,
}

impl Login {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        self.destination.check(output)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.or_blame(Blame::Machine, "cannot start")?;
        runtime.block_on(self.log_in(output))
    }

    async fn log_in(&self, output: &mut Output) -> Result<Status> {
        let api_hash = self.api_hash.read()?;
        let mut account = Account::connect(&self.reach, &self.at, &self.application).await?;
        let user = if self.bot {
            self.bot(&mut account, &api_hash).await?
        } else if self.qr {
            qr::log_in(&mut account, self.application.api_id, &api_hash, output).await?
        } else {
            self.phone(&mut account, &api_hash, output).await?
        };
        let session = account.close(user).await?;
        let logged_in = LoggedIn { user_id: user.id, is_bot: user.is_bot, dc: session.dc };
        output.event(&logged_in)?;
        self.destination.write(&[session], output)?;
        Ok(Status::Done)
    }

    async fn bot(&self, account: &mut Account, api_hash: &str) -> Result<User> {
        let token = match (&self.bot_token_file, std::env::var(BOT_TOKEN)) {
            (Some(path), _) => first_line(path)?,
            (None, Ok(token)) => token.into(),
            (None, Err(_)) => prompt("token of the bot", &format!("--bot-token-file or {BOT_TOKEN}"))?,
        };
        let call = functions::auth::ImportBotAuthorization {
            flags: 0,
            api_id: self.application.api_id,
            api_hash,
            bot_auth_token: &token,
        };
        let answer = account.call(&call).await?;
        User::of(answer.get(), true)
    }

    async fn phone(&self, account: &mut Account, api_hash: &str, output: &mut Output) -> Result<User> {
        let phone = match &self.phone {
            Some(phone) => phone.clone().into(),
            None => question("phone number", "--phone")?,
        };
        let settings = types::CodeSettings {
            allow_flashcall: false,
            current_number: false,
            allow_app_hash: false,
            allow_missed_call: false,
            allow_firebase: false,
            unknown_number: false,
            logout_tokens: None,
            token: None,
            app_sandbox: None,
        };
        let request = functions::auth::SendCode {
            phone_number: &phone,
            api_id: self.application.api_id,
            api_hash,
            settings: (&settings).into(),
        };
        let sent = account.call(&request).await?;
        let enums::auth::SentCode::SentCode(sent) = sent.get() else {
            return Err(Failure::new(
                Blame::Server,
                "no code was sent: the number needs a payment or is logged in",
            ));
        };
        let whereto = match sent.r#type {
            enums::auth::SentCodeType::App(_) => "by a message in Telegram",
            enums::auth::SentCodeType::Sms(_) => "by SMS",
            enums::auth::SentCodeType::Call(_) => "by a call",
            _ => "in another way",
        };
        output.note(&format!("the code was sent {whereto}"));
        let code = question("code", "standard input")?;
        let sign_in = functions::auth::SignIn {
            phone_number: &phone,
            phone_code_hash: sent.phone_code_hash,
            phone_code: Some(&code),
            email_verification: None,
        };
        match account.invoke(&sign_in).await {
            Ok(answer) => User::of(answer.get(), false),
            Err(error) if wants_password(&error) => password::check(account, output).await,
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns whether an account has a two-factor password.
fn wants_password(error: &InvokeError) -> bool {
    error.call().is_some_and(|error| error.message == "SESSION_PASSWORD_NEEDED")
}

impl Report for LoggedIn {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let kind = if self.is_bot { "bot" } else { "user" };
        writeln!(out, "{GOOD}logged in{GOOD:#} as {kind} {} at datacenter {}", self.user_id, self.dc)
    }
}
