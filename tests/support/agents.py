"""User agents as browsers and bots send them."""

from tracking.enrichment.user_agents import Agent

#: Agents of people, with what they are.
PEOPLE = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0":
        Agent("Firefox 128", "Windows 10", "desktop"),
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/128.0.0.0 Safari/537.36 Edg/128.0.0.0":
        Agent("Edge 128", "Windows 10", "desktop"),
    "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0; Tablet PC 2.0) like Gecko":
        Agent("IE 11", "Windows 10", "desktop"),
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Safari/605.1.15":
        Agent("Safari 17", "macOS", "desktop"),
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/128.0.0.0 Safari/537.36":
        Agent("Chrome 128", "Chrome OS", "desktop"),
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0":
        Agent("Firefox 128", "Ubuntu", "desktop"),
    "Mozilla/5.0 (X11; FreeBSD amd64; rv:128.0) Gecko/20100101 Firefox/128.0":
        Agent("Firefox 128", "FreeBSD", "desktop"),
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "coc_coc_browser/120.0.172 Chrome/114.0.5735.172 Safari/537.36":
        Agent("Coc Coc 120", "Windows 10", "desktop"),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1":
        Agent("Mobile Safari 17", "iOS 17", "mobile"),
    "Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/12.1 Mobile/15E148 Safari/604.1":
        Agent("Mobile Safari 12", "iOS 12", "tablet"),
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/128.0.0.0 Mobile Safari/537.36":
        Agent("Chrome Mobile 128", "Android 10", "mobile"),
    "Mozilla/5.0 (Linux; Android 14; SM-X710) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/128.0.0.0 Safari/537.36":
        Agent("Chrome 128", "Android 14", "tablet"),
    "Mozilla/5.0 (Android 14; Mobile; rv:128.0) Gecko/128.0 Firefox/128.0":
        Agent("Firefox Mobile 128", "Android 14", "mobile"),
    "Mozilla/5.0 (Android 14; Tablet; rv:128.0) Gecko/128.0 Firefox/128.0":
        Agent("Firefox Mobile 128", "Android 14", "tablet"),
    "Mozilla/5.0 (Linux; Android 9; KFMAWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/108.4 "
    "like Chrome/108.0 Safari/537.36":
        Agent("Amazon Silk 108", "Android 9", "tablet"),
    "Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/52.0 Mobile Safari/537.36 Edge/15.14977":
        Agent("Edge Mobile 15", "Windows Phone 10", "mobile"),
    "Opera/9.80 (Android; Opera Mini/36.2/119.132; U; id) Presto/2.12.423 Version/12.16":
        Agent("Opera Mini 36", "Android", "mobile"),
    "Mozilla/5.0 (Linux; Android 9; BRAVIA 4K Build/PTT1; wv) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Version/4.0 Chrome/90.0 Safari/537.36 Android TV":
        Agent("Chrome 90", "Android 9", "tv"),
    # Mail.
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0":
        Agent("Thunderbird 128", "Linux", "desktop"),
    "Mozilla/5.0 (Windows NT 10.0; WOW64; rv:52.0) Gecko/20100101 Thunderbird/52.9.1 "
    "Lightning/5.4.9.1":
        Agent("Thunderbird 52", "Windows 10", "desktop"),
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; .NET4.0E; "
    "Tablet PC 2.0; Microsoft Outlook 16.0.5134; ms-office; MSOffice 16)":
        Agent("Outlook 2016", "Windows 10", "desktop"),
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)":
        Agent("Outlook 2016", "Windows 10", "desktop"),
    "Microsoft Office/16.0 (Microsoft Outlook 16.0.17928; Pro)":
        Agent("Outlook 2016", "", ""),
    "Outlook-iOS/723.4027091.prod.iphone (4.28.0)":
        Agent("Outlook-iOS 4", "iOS", ""),
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)":
        Agent("Apple Mail", "macOS", "desktop"),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Mobile/15E148":
        Agent("Mobile Safari UI/WKWebView", "iOS 17", "mobile"),
    "Mozilla/5.0 (Linux; Android 13; SM-G991B Build/TP1A.220624.014; wv) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Version/4.0 Chrome/128.0.6613.127 Mobile Safari/537.36":
        Agent("Chrome Mobile WebView 128", "Android 13", "mobile"),
    # Phones that are called nearly as a bot is.
    "Mozilla/5.0 (Linux; Android 11; Cubot) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/90.0.0.0 Mobile Safari/537.36":
        Agent("Chrome Mobile 90", "Android 11", "mobile"),
    "Mozilla/5.0 (Linux; U; Android 9; zh-CN; CUBOT NOTE 20 Build/PPR1) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/90.0.0.0 Mobile Safari/537.36":
        Agent("Chrome Mobile 90", "Android 9", "mobile"),
    "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/90.0.0.0 Mobile Safari/537.36":
        Agent("Chrome Mobile 90", "Android 9", "mobile"),
    # Whom crawler-user-agents 1.67 takes for crawlers.
    "Mozilla/5.0 (Linux; Android 15; CPH2557 Build/AP3A.240617.008; wv) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Version/4.0 Chrome/142.0.7444.142 Mobile Safari/537.36 "
    "Instagram 406.0.0.58.159 Android":
        Agent("Instagram 406", "Android 15", "mobile"),
    "Mozilla/5.0 (Linux; Android 16; Pixel 10 Build/CP1A.260305.018; wv) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Version/4.0 Chrome/146.0.7680.174 Mobile Safari/537.36 MetaIAB Facebook":
        Agent("Chrome Mobile WebView 146", "Android 16", "mobile"),
    "Mozilla/5.0 (Linux; Android 10) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
    "Chrome/70.0 Mobile Safari/537.36 SogouMSE,SogouMobileBrowser/5.29":
        Agent("Chrome 70", "Android 10", "mobile"),
    "Mozilla/5.0 (Macintosh; U; Intel Mac OS X 10_5_6; en-us) AppleWebKit/528.16 "
    "(KHTML, like Gecko) Fluid/0.9.6 Safari/528.16":
        Agent("Fluid 0", "macOS", "desktop"),
}  # fmt: skip

#: Agents of programs, with the name of each.
BOTS = {
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "Googlebot",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; "
    "+http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36": "bingbot",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)": "Slackbot",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)":
        "facebookexternalhit",
    "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)": "Slurp",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "HeadlessChrome/128.0.0.0 Safari/537.36": "HeadlessChrome",
    "python-requests/2.32.3": "python-requests",
    "curl/8.5.0": "curl",
}  # fmt: skip

#: Programs that name themselves.
MACHINES = (
    "Mozilla/5.0 (compatible; CareerBot/1.1; +http://www.career-x.example/bot.html)",
    "AmorankSpider/0.1",
    "Java/17.0.9",
    "ELB-HealthChecker/2.0",
    "GoogleHC/1.0",
    "kube-probe/1.30",
    "Amazon-Route53-Health-Check-Service (ref 0; report http://amzn.to/1vsZADi)",
    "Consul Health Check",
    "NewRelicPinger/1.0",
    "Ruby",
    "PHP/8.3.1",
    "GuzzleHttp/7",
    "PostmanRuntime/7.39.0",
    "reqwest/0.11",
    "undici",
    "Deno/1.44.0",
    "RestSharp/110.2.0.0",
    "FeedFetcher-Google; (+http://www.google.com/feedfetcher.html)",
    "Microsoft Office Existence Discovery",
    "Viber",
    (
        "Mozilla/5.0 (Linux; Android 8.0; Pixel 2 Build/OPD3.170816.012; Storebot-Google/1.0) "
        "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/81.0.4044.138 Mobile Safari/537.36"
    ),
    "Mozilla/5.0 (compatible; Rivva; http://rivva.example)",
)

#: Browsers whose model or name contains the name of a crawler.
LIKE_MACHINES = (
    (
        "Mozilla/5.0 (Linux; Android 9; ViewSonic_V55) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/120.0.0.0 Mobile Safari/537.36"
    ),
    (
        "Mozilla/5.0 (Linux; Android 5.0; HTC Butterfly) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/95.0.0.0 Mobile Safari/537.36"
    ),
    (
        "Mozilla/5.0 (Linux; Android 7.0; Fever_Plus) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/100.0.0.0 Mobile Safari/537.36"
    ),
    (
        "Mozilla/5.0 (Linux; Android 12; TS1008) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/120.0.0.0 Safari/537.36"
    ),
    (
        "Mozilla/5.0 (Linux; Android 7.0; M bot 51) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/120.0.0.0 Mobile Safari/537.36"
    ),
    (
        "Mozilla/5.0 (Linux; Android 13; Spider 8) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/120.0.0.0 Mobile Safari/537.36"
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/120.0.0.0 Mobile Safari/537.36 Viber/11.9.5.8"
    ),
    (
        "Mozilla/5.0 (Windows NT 6.1) AppleWebKit/537.36 (KHTML, like Gecko) coccocbrowser/47.0 "
        "Chrome/41.0 Safari/537.36"
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_0) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Slack/4.40 Chrome/126.0 Electron/31 Safari/537.36 Sonic Slack_SSB/4.40"
    ),
)
