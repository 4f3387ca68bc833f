"""Who is who in mail: no program of a reader is a machine, no machine is a reader.

Agents of readers' programs are those that load images; a browser follows the links. Sources: the
programs' own documents, FIELD notes of this project, and the public lists named beside each part.
"""

import pytest
from django.test import RequestFactory

from tracking.enrichment.verdict_rules import Label, Verdict, classify
from tracking.exclusions import exclude_request

_MOZILLA = "Mozilla/5.0"
_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_IPHONE = f"{_MOZILLA} (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15"

#: Programs in which people read mail.
READERS = {
    "Outlook 2010": "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 6.1; WOW64; Trident/7.0; SLCC2; "
    ".NET CLR 2.0.50727; .NET4.0C; .NET4.0E; ms-office; MSOffice 14)",
    "Outlook 2016": "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; "
    ".NET4.0C; .NET4.0E; Microsoft Outlook 16.0.5134; ms-office; MSOffice 16)",
    "Outlook 365": "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)",
    "Outlook for Mac": "Microsoft Office/16.89 (Mac OS X; Microsoft Outlook 16.89.24090815; Pro)",
    "Outlook for Mac, of 2011": "MacOutlook/14.7.7.170905 (Intel Mac OS X Version 10.13.6)",
    "Outlook for iOS": "Outlook-iOS/723.4027091.prod.iphone (4.28.0)",
    "Outlook for Android": "Outlook-Android/2.0",
    "new Outlook": f"{_MOZILLA} (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/128.0.0.0 "
    "Safari/537.36 Edg/128.0.0.0 OneOutlook/1.2024.828.300",
    "Windows Mail": f"{_MOZILLA} (Windows NT 10.0; Win64; x64; WebView/3.0) {_WEBKIT} "
    "Chrome/70.0.3538.102 Safari/537.36 Edge/18.19041",
    "Windows Live Mail": "Outlook-Express/7.0 (MSIE 7.0; Windows NT 6.1; WOW64; Trident/7.0; "
    "TmstmpExt)",
    "Apple Mail": f"{_MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko)",
    "iOS Mail": f"{_IPHONE} (KHTML, like Gecko) Mobile/15E148",
    "iPad Mail": f"{_MOZILLA} (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Mobile/15E148",
    "Thunderbird": f"{_MOZILLA} (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0",
    "Thunderbird with Lightning": f"{_MOZILLA} (Windows NT 10.0; WOW64; rv:52.0) Gecko/20100101 "
    "Thunderbird/52.9.1 Lightning/5.4.9.1",
    "Betterbird": f"{_MOZILLA} (Windows NT 10.0; Win64; x64; rv:115.0) Gecko/20100101 "
    "Thunderbird/115.14.0 Betterbird/115.14.0",
    "K-9 Mail": f"{_MOZILLA} (Linux; Android 14; Pixel 7 Build/AP2A.240805.005; wv) {_WEBKIT} "
    "Version/4.0 Chrome/128.0.6613.127 Mobile Safari/537.36",
    "Samsung Email": f"{_MOZILLA} (Linux; Android 13; SM-G991B Build/TP1A.220624.014; wv) "
    f"{_WEBKIT} Version/4.0 Chrome/128.0.6613.127 Mobile Safari/537.36",
    "Spark": f"{_MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Readdle/Spark",
    "Airmail": f"{_MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Airmail/5.7",
    "eM Client": f"{_MOZILLA} (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/124.0.6367.207 "
    "Safari/537.36 eM Client/10.0.3266.0",
    "Mailbird": f"{_MOZILLA} (Windows NT 10.0; WOW64) {_WEBKIT} Chrome/120.0.6099.216 "
    "Safari/537.36 Mailbird/3.0.18",
    "Postbox": f"{_MOZILLA} (Macintosh; Intel Mac OS X 10.15; rv:68.0) Gecko/20100101 "
    "Postbox/7.0.60",
    "The Bat!": "The Bat! 11.1",
    "Evolution": "Evolution/3.52.4",
    "KMail": f"{_MOZILLA} (X11; Linux x86_64) {_WEBKIT} QtWebEngine/5.15.16 "
    "Chrome/87.0.4280.144 Safari/537.36 KMail/5.24.5",
    "SeaMonkey": f"{_MOZILLA} (Windows NT 10.0; Win64; x64; rv:91.0) Gecko/20100101 "
    "Firefox/91.0 SeaMonkey/2.53.18",
    "Claws Mail": "Claws Mail/4.2.0 (GTK 3.24.41; x86_64-pc-linux-gnu)",
    "Lotus Notes": "Mozilla/4.0 (compatible; Lotus-Notes/6.0; Windows-NT)",
    "BlackBerry": f"{_MOZILLA} (BB10; Touch) AppleWebKit/537.10+ (KHTML, like Gecko) "
    "Version/10.3.3.3216 Mobile Safari/537.10+",
    "Gmail in Chrome": f"{_MOZILLA} (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/128.0.0.0 "
    "Safari/537.36",
    "GMX in Firefox": f"{_MOZILLA} (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 "
    "Firefox/128.0",
    "iCloud in Safari": f"{_MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Safari/605.1.15",
    "Outlook.com in Edge": f"{_MOZILLA} (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/128.0.0.0 "
    "Safari/537.36 Edg/128.0.0.0",
    "Roundcube in Chrome OS": f"{_MOZILLA} (X11; CrOS x86_64 14541.0.0) {_WEBKIT} "
    "Chrome/128.0.0.0 Safari/537.36",
}

#: In-app browsers of chat programs, in which people follow links.
PEOPLE_IN_APPS = {
    "Facebook": f"{_IPHONE} (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/478.0.0.36.103;"
    "FBBV/637221903;FBDV/iPhone14,5;FBMD/iPhone;FBSN/iOS;FBSV/17.5;FBSS/3;FBCR/;FBID/phone]",
    "Instagram": f"{_IPHONE} (KHTML, like Gecko) Mobile/15E148 Instagram 344.0.9.28.93",
    "LinkedIn": f"{_IPHONE} (KHTML, like Gecko) Mobile/15E148 [LinkedInApp]/9.29.8962",
    "Slack on the desktop": f"{_MOZILLA} (Macintosh; Intel Mac OS X 14_0) {_WEBKIT} Slack/4.40 "
    "Chrome/126.0 Electron/31 Safari/537.36 Sonic Slack_SSB/4.40",
    "Teams on the desktop": f"{_MOZILLA} (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/128.0.0.0 "
    "Safari/537.36 Edg/128.0.0.0 Teams/24215.1007.3082.1590/49",
    "WeChat": f"{_IPHONE} (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.50(0x1800323d) "
    "NetType/WIFI Language/en",
    "LINE": f"{_IPHONE} (KHTML, like Gecko) Mobile/15E148 Safari Line/14.12.0",
}

#: Previews of links in chat programs.
PREVIEWS = {
    "WhatsApp": "WhatsApp/2.24.17.76 A",
    "WhatsApp on iOS": "WhatsApp/2.23.20.0 i",
    "Signal": "WhatsApp/2",
    "Slack": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Slack, images": "Slack-ImgProxy (+https://api.slack.com/robots)",
    "Teams": f"{_MOZILLA} (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 "
    "skype-url-preview@microsoft.com",
    "Telegram": "TelegramBot (like TwitterBot)",
    "Discord": f"{_MOZILLA} (compatible; Discordbot/2.0; +https://discordapp.com)",
    "iMessage": f"{_MOZILLA} (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 "
    "(KHTML, like Gecko) Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot "
    "Twitterbot/1.0",
    "Facebook": "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Meta": "meta-externalfetcher/1.1",
    "LinkedIn": "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "X": "Twitterbot/1.0",
    "LINE": "facebookexternalhit/1.1;line-poker/1.0",
    "KakaoTalk": "facebookexternalhit/1.1; kakaotalk-scrap/1.0; "
    "+https://devtalk.kakao.com/t/scrap/33984",
    "Viber": "Viber",
    "Matrix": "Synapse (bot; +https://github.com/matrix-org/synapse)",
    "Mattermost": "mattermost-bot/1.1",
    "Rocket.Chat": "Rocket.Chat-Bot/1.0",
    "Mastodon": "Mastodon/4.2.10 (http.rb/5.1.1; +https://mastodon.example/) Bot",
    "Pinterest": f"{_MOZILLA} (compatible; Pinterestbot/1.0; +http://www.pinterest.com/bot.html)",
    "Reddit": f"{_MOZILLA} (compatible; redditbot/1.0; +http://www.reddit.com/feedback)",
    "Snapchat": f"{_MOZILLA} (Linux; Android 5.0) {_WEBKIT} (compatible; Snap URL Preview "
    "Service; bot; snapchat; https://developers.snap.com/robots)",
    "Google Chat": f"{_MOZILLA} (compatible; Google-PageRenderer Google "
    "(+https://developers.google.com/+/web/snippet/))",
    "Bing preview": f"{_MOZILLA} (Windows NT 6.1; WOW64) {_WEBKIT} Chrome/53.0 Safari/537.36 "
    "BingPreview/1.0b",
}

#: Scanners of mail that name themselves, and the libraries that others are made of.
SCANNERS = {
    "Office looks for a document": "Microsoft Office Existence Discovery",
    "Barracuda": f"{_MOZILLA} (compatible; Barracuda Sentinel (EE))",
    "requests": "python-requests/2.32.3",
    "aiohttp": "Python/3.11 aiohttp/3.9.5",
    "urllib": "Python-urllib/3.11",
    "curl": "curl/8.5.0",
    "wget": "Wget/1.21.4",
    "Go": "Go-http-client/2.0",
    "Java": "Java/17.0.9",
    "Apache HttpClient": "Apache-HttpClient/4.5.13 (Java/11.0.20)",
    "okhttp": "okhttp/4.12.0",
    "Headless Chrome": f"{_MOZILLA} (X11; Linux x86_64) {_WEBKIT} HeadlessChrome/128.0.0.0 "
    "Safari/537.36",
    "PhantomJS": f"{_MOZILLA} (Unknown; Linux x86_64) AppleWebKit/538.1 (KHTML, like Gecko) "
    "PhantomJS/2.1.1 Safari/538.1",
    "urlscan": f"{_MOZILLA} (compatible; urlscan.io; +https://urlscan.io/bot)",
    "axios": "axios/1.7.2",
    "node": "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)",
}

#: Providers that load images for their readers.
PROXIES = {
    "Gmail": f"{_MOZILLA} (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 "
    "(via ggpht.com GoogleImageProxy)",
    "Yahoo": "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
    "Fastmail": f"{_MOZILLA} (X11; Linux x86_64) {_WEBKIT} Chrome/118.0.5993.117 Safari/537.36 "
    "FastmailUA/1.0",
    "Seznam": f"{_MOZILLA} (compatible; SeznamEmailProxy/2.0.176)",
}


@pytest.mark.parametrize("agent", READERS.values(), ids=READERS)
@pytest.mark.parametrize("is_open", [True, False])
def test_programs_of_readers_are_human(agent, is_open):
    assert classify(agent, is_open=is_open) == Verdict(Label.HUMAN, "")


def test_there_are_thirty_programs_of_readers():
    assert len(set(READERS.values())) >= 30


@pytest.mark.parametrize("agent", PEOPLE_IN_APPS.values(), ids=PEOPLE_IN_APPS)
def test_people_who_follow_a_link_in_an_app_are_human(agent):
    assert classify(agent) == Verdict(Label.HUMAN, "")


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize(
    "agent", [*PREVIEWS.values(), *SCANNERS.values()], ids=[*PREVIEWS, *SCANNERS]
)
def test_previews_and_scanners_are_machines_with_their_names(agent, is_open):
    label, reason = classify(agent, is_open=is_open)
    assert label == Label.BOT
    assert reason


@pytest.mark.parametrize("agent", PROXIES.values(), ids=PROXIES)
def test_images_that_a_provider_loads_are_opens_that_hide_the_reader(agent):
    label, reason = classify(agent, is_open=True)
    assert label == Label.PROXY
    assert reason.endswith("image proxy")


def test_images_that_apple_loads_are_nobodys():
    label, reason = classify("Mozilla/5.0", is_open=True)
    assert (label, reason.startswith("Apple")) == (Label.PREFETCH, True)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Sec-Purpose", "prefetch"),
        ("Sec-Purpose", "prefetch;prerender"),
        ("Purpose", "prefetch"),
        ("X-Purpose", "preview"),
        ("X-Moz", "prefetch"),
    ],
)
def test_prefetches_are_answered_and_not_recorded(header, value):
    request = RequestFactory().get("/", headers={header: value})
    assert exclude_request(request) == f"{header}: {value}"


def test_a_head_is_answered_and_not_recorded():
    assert exclude_request(RequestFactory().head("/")) == "method HEAD"
