//! Tokens for Amazon MSK: a signed address that MSK asks IAM about.
//!
//! The format is that of AWS's own signers (aws-msk-iam-sasl-signer-go 1.0.4 and -python 1.0.2, and
//! aws-msk-iam-auth 2.3.6 for Java, read in their sources): a presigned `GET` of
//! `https://kafka.<region>.amazonaws.com/` with the action `kafka-cluster:Connect`, for the service
//! `kafka-cluster`, good for 900 s; behind the signature `User-Agent`, which is not signed; the whole in
//! base64 for URLs, without padding. Credentials, their sources and the signature are those of
//! AWS's crates.

use std::error::Error;
use std::time::Duration;
use std::time::SystemTime;

use aws_config::BehaviorVersion;
use aws_config::Region;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_sigv4::http_request::SignableBody;
use aws_sigv4::http_request::SignableRequest;
use aws_sigv4::http_request::SignatureLocation;
use aws_sigv4::http_request::SigningSettings;
use aws_sigv4::http_request::sign;
use aws_sigv4::sign::v4;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::OnceCell;

use crate::kafka::tokens::Signer;
use crate::kafka::tokens::Signing;
use crate::kafka::tokens::Token;
use crate::kafka::tokens::Unsigned;
use crate::service::clock::SystemClock;
use crate::service::ports::Clock;
use crate::service::ports::FaultClass;

/// How long a token is good: what all of AWS's signers ask for.
const GOOD_FOR: Duration = Duration::from_secs(900);

const SERVICE: &str = "kafka-cluster";

/// Who signed, for AWS's statistics.
const USER_AGENT: &str = concat!("schema-mirror/", env!("CARGO_PKG_VERSION"));

/// The domains of MSK's brokers, whose names have the region before them.
const DOMAINS: [&str; 2] = [".amazonaws.com", ".amazonaws.com.cn"];

/// The labels that stand before the region in the names of MSK's brokers and of MSK Serverless.
const BEFORE_REGION: [&str; 2] = ["kafka", "kafka-serverless"];

/// An error and what it came from, no further than this.
const CAUSES_MAX: usize = 8;

/// Signs with the credentials that AWS's default chain finds.
pub(super) struct IamSigner {
    /// The region in the names of the brokers.
    region: Option<String>,
    clock: SystemClock,
    account: OnceCell<Account>,
}

/// Where credentials come from, and for which region.
struct Account {
    region: String,
    credentials: SharedCredentialsProvider,
}

impl IamSigner {
    /// A signer for the cluster of these brokers, `host:port` with commas between them. Nothing is asked
    /// yet.
    pub(super) fn new(servers: &str, clock: SystemClock) -> Self {
        Self { region: region_of(servers), clock, account: OnceCell::new() }
    }

    async fn account(&self) -> Result<Account, Unsigned> {
        let tls = Provider::Rustls(CryptoMode::Ring);
        let https = aws_smithy_http_client::Builder::new().tls_provider(tls).build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(https);
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let found = loader.load().await;
        let Some(region) = found.region() else {
            let cause = "no AWS region: bootstrap_servers has none in its names, nor has AWS's \
                         chain one; name the brokers as MSK does, or set AWS_REGION";
            return Err(Unsigned { class: FaultClass::NotPermitted, cause: cause.to_owned() });
        };
        let Some(credentials) = found.credentials_provider() else {
            let cause = "no AWS credentials: there is nobody to ask".to_owned();
            return Err(Unsigned { class: FaultClass::NotPermitted, cause });
        };
        Ok(Account { region: region.to_string(), credentials })
    }

    async fn signed(&self) -> Result<Token, Unsigned> {
        let account = self.account.get_or_try_init(|| self.account()).await?;
        let found = account.credentials.provide_credentials().await;
        let credentials = found.map_err(|error| without_credentials(&error))?;
        token(&credentials, &account.region, self.clock.wall_ms()).map_err(|error| Unsigned {
            class: FaultClass::Permanent,
            cause: format!("sign with AWS credentials: {}", chain(&*error)),
        })
    }
}

impl Signer for IamSigner {
    fn sign(&self) -> Signing<'_> {
        Box::pin(self.signed())
    }
}

/// The region in the names of brokers: `b-1.name.abc123.c2.kafka.us-east-1.amazonaws.com:9098`,
/// `boot-abc.c1.kafka-serverless.us-east-1.amazonaws.com:9098`.
fn region_of(servers: &str) -> Option<String> {
    servers.split(',').find_map(|server| {
        let host = server.rsplit_once(':').map_or(server, |(host, _)| host).trim();
        let host = host.to_ascii_lowercase();
        let name = DOMAINS.iter().find_map(|domain| host.strip_suffix(domain))?;
        let (before, region) = name.rsplit_once('.')?;
        let label = before.rsplit('.').next()?;
        (BEFORE_REGION.contains(&label) && !region.is_empty()).then(|| region.to_owned())
    })
}

/// A token for these credentials, signed at this time. It ends with its signature or, where that is
/// earlier, with the credentials.
fn token(
    credentials: &Credentials,
    region: &str,
    now_ms: i64,
) -> Result<Token, Box<dyn Error + Send + Sync>> {
    // `X-Amz-Date` counts whole seconds.
    let signed = Duration::from_secs(now_ms.max(0).unsigned_abs() / 1000);
    let signed_at = SystemTime::UNIX_EPOCH.checked_add(signed).ok_or("a time beyond all clocks")?;
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(GOOD_FOR);
    let identity = credentials.clone().into();
    let wanted = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(signed_at)
        .settings(settings)
        .build()?
        .into();
    let mut address = format!(
        "https://kafka.{region}.amazonaws.com/?Action={}",
        encoded("kafka-cluster:Connect")
    );
    let nothing = SignableBody::Bytes(&[]);
    let request = SignableRequest::new("GET", address.as_str(), std::iter::empty(), nothing)?;
    let (instructions, _) = sign(request, &wanted)?.into_parts();
    let behind = [("User-Agent", USER_AGENT.into())];
    for (name, value) in instructions.params().iter().chain(&behind) {
        address.push('&');
        address.push_str(name);
        address.push('=');
        address.push_str(&encoded(value));
    }
    let ends = credentials.expiry().and_then(|end| end.duration_since(SystemTime::UNIX_EPOCH).ok());
    let good_until = signed.saturating_add(GOOD_FOR);
    let until = ends.filter(|end| *end > signed).map_or(good_until, |end| end.min(good_until));
    Ok(Token::new(URL_SAFE_NO_PAD.encode(address), i64::try_from(until.as_millis())?))
}

/// A value as it stands in the query of an address (RFC 3986, which AWS's signature takes by the
/// letter).
fn encoded(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let letter = |byte| {
        if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    value.bytes().map(letter).collect()
}

/// Why there are no credentials, and whether waiting may mend it.
fn without_credentials(error: &CredentialsError) -> Unsigned {
    let is_missing = matches!(
        error,
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_)
    );
    let class = if is_missing { FaultClass::NotPermitted } else { FaultClass::Transient };
    Unsigned { class, cause: format!("no AWS credentials: {}", chain(error)) }
}

/// An error with its causes in the words that they show. Their `Debug` may hold what a source of
/// credentials answered.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (**error).source()).take(CAUSES_MAX);
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first second of 2026.
    const SIGNED_MS: i64 = 1_767_225_600_000;

    fn credentials(session: Option<&str>, end: Option<SystemTime>) -> Credentials {
        let mut builder = Credentials::builder()
            .access_key_id("AKIDEXAMPLE")
            .secret_access_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
            .provider_name("test");
        builder.set_session_token(session.map(str::to_owned));
        builder.set_expiry(end);
        builder.build()
    }

    /// The lines of an address, as they were computed by the rules of AWS (SigV4 of query parameters)
    /// with another program.
    #[track_caller]
    fn check(session: Option<&str>, signature: &str, behind: &str) {
        let token = token(&credentials(session, None), "us-east-1", SIGNED_MS + 999).unwrap();
        assert_eq!(token.until_ms(), SIGNED_MS + 900_000);
        let address = String::from_utf8(URL_SAFE_NO_PAD.decode(token.reveal()).unwrap()).unwrap();
        let expected = format!(
            "https://kafka.us-east-1.amazonaws.com/?Action=kafka-cluster%3AConnect\
             &X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIDEXAMPLE%2F20260101%2Fus-east-1%2Fkafka-cluster%2Faws4_request\
             &X-Amz-Date=20260101T000000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host\
             &X-Amz-Signature={signature}{behind}&User-Agent=schema-mirror%2F{}",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(address, expected);
    }

    #[test]
    fn a_token_is_the_signed_address_that_msk_expects() {
        check(None, "0d00d0824363d898b8c5b68c5b122a49965fb7a9c758194315de10accbb1b9a0", "");
        check(
            Some("FwoGZXIvYXdzE/+="),
            "0a211dfa2a9b93b7bc9ea3bfdbcaa2cb211fb9ce47b62e7c5b1c65caf1e4398e",
            "&X-Amz-Security-Token=FwoGZXIvYXdzE%2F%2B%3D",
        );
    }

    #[test]
    fn a_token_ends_with_its_credentials_where_these_end_first() {
        let signed_at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_225_600_000);
        let until = |left_s: u64| {
            let end = signed_at + Duration::from_secs(left_s);
            token(&credentials(None, Some(end)), "us-east-1", SIGNED_MS).unwrap().until_ms()
        };
        assert_eq!(until(300), SIGNED_MS + 300_000);
        assert_eq!(until(3_600), SIGNED_MS + 900_000);
        // Such are given out where their source is away (EC2), and may do.
        assert_eq!(until(0), SIGNED_MS + 900_000);
    }

    #[test]
    fn the_region_stands_in_the_names_of_brokers() {
        let check = |servers: &str, region: Option<&str>| {
            assert_eq!(region_of(servers).as_deref(), region, "{servers}");
        };
        let provisioned = "b-1.name.abc123.c2.kafka.us-east-1.amazonaws.com:9098";
        check(provisioned, Some("us-east-1"));
        check(&format!("10.0.0.1:9098, {provisioned}"), Some("us-east-1"));
        check("B-1.N.A.C2.KAFKA.US-EAST-1.AMAZONAWS.COM:9098", Some("us-east-1"));
        let serverless = "boot-abc.c1.kafka-serverless.eu-west-2.amazonaws.com:9098";
        check(serverless, Some("eu-west-2"));
        check("b-1.n.a.c2.kafka.cn-north-1.amazonaws.com.cn:9098", Some("cn-north-1"));
        check("b-1.n.a.c2.kafka.us-gov-west-1.amazonaws.com", Some("us-gov-west-1"));
        check("broker.example:9098", None);
        check("kafka.amazonaws.com:9098", None);
        check("ec2-1-2-3-4.us-east-1.compute.amazonaws.com:9098", None);
        check("b-1.kafka.us-east-1.amazonaws.com.evil.example:9098", None);
        check("", None);
    }

    #[test]
    fn credentials_that_are_nowhere_are_a_missing_login_and_others_may_come_back() {
        let missing = without_credentials(&CredentialsError::not_loaded("nothing is set"));
        assert_eq!(missing.class, FaultClass::NotPermitted);
        assert!(missing.cause.starts_with("no AWS credentials: "), "{missing:?}");
        assert!(missing.cause.ends_with(": nothing is set"), "{missing:?}");
        let away = without_credentials(&CredentialsError::provider_error("no route"));
        assert_eq!(away.class, FaultClass::Transient);
    }
}
