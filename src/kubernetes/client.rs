//! The connection to the API server, made at the first call: a kubeconfig that is missing then fails that call, and
//! the next one looks again.

use std::time::Duration;

use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use tokio::sync::Mutex;

use crate::config::spec::KubernetesSpec;
use crate::ports::SinkError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than any call here waits: the callers' own timeouts are the ones that count.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

pub struct LazyClient {
    spec: KubernetesSpec,
    client: Mutex<Option<Client>>,
}

impl LazyClient {
    #[must_use]
    pub fn new(spec: KubernetesSpec) -> Self {
        Self { spec, client: Mutex::new(None) }
    }

    pub(super) async fn client(&self) -> Result<Client, SinkError> {
        let mut client = self.client.lock().await;
        if let Some(client) = client.as_ref() {
            return Ok(client.clone());
        }
        let mut config = self.config().await?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.read_timeout = Some(ANSWER_TIMEOUT);
        config.reset_reader_on_write = true;
        config.write_timeout = Some(ANSWER_TIMEOUT);
        // The engine retries, with its own bounds; 15 more tries below it would outlast them.
        config.default_retry = false;
        let made = Client::try_from(config).map_err(|_| SinkError::Unfit {
            why: "the Kubernetes configuration cannot be used: check its certificates and server address"
                .into(),
        })?;
        Ok(client.insert(made).clone())
    }

    async fn config(&self) -> Result<Config, SinkError> {
        let KubernetesSpec { kubeconfig, context } = &self.spec;
        let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
        if let Some(path) = kubeconfig {
            let at = path.display();
            let file = Kubeconfig::read_from(path)
                .map_err(|_| SinkError::Unfit { why: format!("kubeconfig {at} cannot be read as one") })?;
            let why = format!("kubeconfig {at} lacks the context, or what it names");
            return Config::from_custom_kubeconfig(file, &options)
                .await
                .map_err(|_| SinkError::Unfit { why });
        }
        if context.is_none()
            && let Ok(config) = Config::incluster()
        {
            return Ok(config);
        }
        Config::from_kubeconfig(&options).await.map_err(|_| SinkError::Unfit {
            why: "there is no in-cluster service account and no usable kubeconfig: set kubernetes.kubeconfig"
                .into(),
        })
    }
}
