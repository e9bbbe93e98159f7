#include "config/provider.h"

namespace postrider {
namespace {

struct Provider {
  std::string_view suffix;  // with its leading dot
  std::string_view name;
};

// No suffix is below another one, so their order does not matter. Tenants of hosted filters (Microsoft 365, Proofpoint,
// Mimecast, Barracuda, Cisco) have MX hosts of their own below the provider's.
constexpr Provider kProviders[] = {
    {".google.com", "google"},
    {".googlemail.com", "google"},
    {".olc.protection.outlook.com", "microsoft"},
    {".mail.protection.outlook.com", "microsoft365"},
    {".mx.microsoft", "microsoft365"},
    {".yahoodns.net", "yahoo"},
    {".icloud.com", "apple"},
    {".comcast.net", "comcast"},
    {".gmx.net", "gmx"},
    {".web.de", "gmx"},
    {".orange.fr", "orange"},
    {".yahoo.co.jp", "yahoo-japan"},
    {".qq.com", "qq"},
    {".netease.com", "netease"},
    {".naver.com", "naver"},
    {".mimecast.com", "mimecast"},
    {".barracudanetworks.com", "barracuda"},
    {".pphosted.com", "proofpoint"},
    {".ppe-hosted.com", "proofpoint"},
    {".iphmx.com", "cisco"},
    {".t-online.de", "t-online"},
    {".free.fr", "free"},
    {".laposte.net", "laposte"},
    {".sfr.fr", "sfr"},
    {".libero.it", "libero"},
    {".seznam.cz", "seznam"},
    {".wp.pl", "wp"},
    {".yandex.ru", "yandex"},
    {".yandex.net", "yandex"},
    {".mail.ru", "mailru"},
    {".kpnmail.nl", "kpn"},
    {".ziggo.nl", "ziggo"},
};

}  // namespace

std::string_view ProviderOfMx(std::string_view mx_host) {
  for (const Provider& provider : kProviders) {
    // A name below the suffix, not the bare name "google.com" with nothing before its dot.
    if (mx_host.size() > provider.suffix.size() && mx_host.ends_with(provider.suffix)) return provider.name;
  }
  return {};
}

}  // namespace postrider
