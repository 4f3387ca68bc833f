"""Mails as marketing tools and frameworks write them. Nothing here is copied from one."""

# ruff: noqa: E501

from tests.support.mail_corpus.mail import Mail

SHOP = "https://shop.example/"

LAYOUTS = [
    Mail(
        "XHTML 1.0 with nested tables",
        """<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" \
"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml">
<head><meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
<title>Spring &lt;a href="https://no.example/"&gt;</title></head>
<body bgcolor="#ffffff" link="#336699">
<table width="100%" border="0" cellpadding="0" cellspacing="0"><tr><td align="center">
  <table width="600"><tr><td><a href="https://shop.example/tea?a=1&amp;b=2" target="_blank">\
<img src="https://shop.example/tea.jpg" alt="Tea" border="0" /></a></td></tr>
  <tr><td><table><tr><td><a href="https://shop.example/">Shop</a></td></tr></table></td></tr></table>
</td></tr></table>
</body></html>
""",
        (("https://shop.example/tea?a=1&amp;b=2", "https://shop.example/tea?a=1&b=2"), SHOP),
        "</body></html>\n",
    ),
    Mail(
        "Outlook conditionals",
        """<html><body><!--[if (gte mso 9)|(IE)]><table width="600"><tr><td><![endif]-->
<a href="https://shop.example/a">A</a>
<!--[if mso]><a href="https://shop.example/only-outlook?x=1&amp;y=2">Outlook</a><![endif]-->
<!--[if !mso]><!--><a href='https://shop.example/b'>B</a><!--<![endif]-->
<![if !mso]><a href="https://shop.example/c">C</a><![endif]>
<!--[if (gte mso 9)|(IE)]></td></tr></table><![endif]--></body></html>""",
        (
            "https://shop.example/a",
            (
                "https://shop.example/only-outlook?x=1&amp;y=2",
                "https://shop.example/only-outlook?x=1&y=2",
            ),
            "https://shop.example/b",
            "https://shop.example/c",
        ),
        "</body></html>",
    ),
    Mail(
        "A bulletproof button with VML",
        """<div><!--[if mso]>
<v:roundrect xmlns:v="urn:schemas-microsoft-com:vml" xmlns:w="urn:schemas-microsoft-com:office:word"
 href="https://shop.example/buy?id=7&amp;n=1" style="height:40px;v-text-anchor:middle;width:200px;"
 arcsize="10%" strokecolor="#1e3650" fillcolor="#556270"><w:anchorlock/>
<center style="color:#ffffff;">Buy it</center></v:roundrect>
<![endif]--><a href="https://shop.example/buy?id=7&amp;n=1"
style="background-color:#556270;mso-hide:all;">Buy it</a></div>""",
        (("https://shop.example/buy?id=7&amp;n=1", "https://shop.example/buy?id=7&n=1"),) * 2,
    ),
    Mail(
        "A VML button that lets readers unsubscribe",
        """<!--[if mso]><v:rect href="https://shop.example/x/1"><v:textbox><center>
Unsubscribe</center></v:textbox></v:rect><![endif]--><a href="https://shop.example/ok">Ok</a>""",
        ("https://shop.example/ok",),
    ),
    Mail(
        "A VML background",
        """<table><tr><td background="https://cdn.example/bg.png"><!--[if gte mso 9]>
<v:rect xmlns:v="urn:schemas-microsoft-com:vml" fill="true" stroke="false" style="width:600px;">
<v:fill type="tile" src="https://cdn.example/bg.png" color="#7bceeb" /><v:textbox inset="0,0,0,0">
<![endif]--><div><a href=https://shop.example/>Shop</a></div><!--[if gte mso 9]></v:textbox></v:rect>
<![endif]--></td></tr></table>""",
        (SHOP,),
    ),
    Mail(
        "As from MJML",
        """<!doctype html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:v="urn:schemas-microsoft-com:vml" \
xmlns:o="urn:schemas-microsoft-com:office:office"><head><title></title>
<!--[if !mso]><!--><meta http-equiv="X-UA-Compatible" content="IE=edge"><!--<![endif]-->
<!--[if mso]><noscript><xml><o:OfficeDocumentSettings><o:AllowPNG/>\
<o:PixelsPerInch>96</o:PixelsPerInch></o:OfficeDocumentSettings></xml></noscript><![endif]-->
<!--[if lte mso 11]><style type="text/css">.outlook-group-fix { width:100% !important; }</style>\
<![endif]-->
<style type="text/css">@media only screen and (min-width:480px) { .column { width:100%; } }</style>
<style>/* <a href="https://no.example/"> */ .moz-text-html .column { width:100%; }</style></head>
<body style="word-spacing:normal;"><div><!--[if mso | IE]><table role="presentation"><tr><td>\
<![endif]--><div style="margin:0px auto;max-width:600px;"><table role="presentation"><tbody><tr>\
<td bgcolor="#414141"><a href="https://shop.example/mj" style="display:inline-block;padding:10px \
25px;" target="_blank"> To the shop </a></td></tr></tbody></table></div>\
<!--[if mso | IE]></td></tr></table><![endif]--></div></body></html>""",
        ("https://shop.example/mj",),
        "</body></html>",
    ),
    Mail(
        "As from Foundation for Emails",
        """<body class="outlook"><span class="preheader"></span><table class="body" data-made-with-x>
<tr><td class="center" align="center" valign="top"><center data-parsed="">
<table class="button float-center"><tr><td><table><tr><td><center data-parsed=""><a align="center" \
class="float-center" href="https://shop.example/fd">Go</a></center></td></tr></table></td>
<td class="expander"></td></tr></table></center></td></tr></table>
<!-- prevent Gmail on iOS font size manipulation -->
<div style="display:none; white-space:nowrap; font:15px courier; line-height:0;"> &nbsp; &nbsp; \
</div></body>""",
        ("https://shop.example/fd",),
        "</body>",
    ),
    Mail(
        "AMP in the HTML part",
        """<!doctype html><html amp4email data-css-strict><head><meta charset="utf-8">
<script async src="https://cdn.ampproject.org/v0.js"></script>
<style amp4email-boilerplate>body{visibility:hidden}</style></head><body>
<amp-img src="https://cdn.example/a.png" width="1" height="1"></amp-img>
<amp-carousel><a href="https://shop.example/amp">x</a></amp-carousel>
<amp-list src="https://shop.example/list"><template type="amp-mustache">\
<a href="{{url}}">{{name}}</a></template></amp-list></body></html>""",
        ("https://shop.example/amp",),
        "</body></html>",
    ),
    Mail(
        "Dark mode",
        """<html><head><meta name="color-scheme" content="light dark"><style>
:root{color-scheme:light dark}@media (prefers-color-scheme:dark){a[href^="https://shop.example/"]\
{color:#fff!important}}[data-ogsc] .x>a{color:#eee}u+.body a{color:inherit}</style></head>
<body class=body><a class=x href=https://shop.example/dark>Dark</a></body></html>""",
        ("https://shop.example/dark",),
        "</body></html>",
    ),
    Mail(
        "A preheader filled up",
        """<body><div style="display:none;max-height:0;overflow:hidden">The first tea is here """
        + "&#847;&zwnj;&nbsp;&#8199;&shy; " * 60
        + """</div><a href="https://shop.example/pre">Tea</a></body>""",
        ("https://shop.example/pre",),
        "</body>",
    ),
    Mail(
        "An image map",
        """<img src="https://cdn.example/map.png" usemap="#m" alt=""><map name="m">
<area shape="rect" coords="0,0,10,10" href="https://shop.example/left" alt="Left">
<AREA SHAPE=default HREF=https://shop.example/right ALT=Right>
<area shape="rect" coords="0,0,1,1" href="https://shop.example/3" alt="Unsubscribe">
<area shape="rect" coords="0,0,1,1" nohref></map>
<p>To unsubscribe, <a href="https://shop.example/unsubscribe">click</a>.""",
        ("https://shop.example/left", "https://shop.example/right"),
    ),
    Mail(
        "Links in SVG",
        """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" \
viewBox="0 0 9 9"><title>Tea</title><a href="https://shop.example/svg"><circle r="4"/></a>
<a xlink:href="https://shop.example/old"><rect width="4" height="4"/></a>
<use href="https://shop.example/sprite.svg#x"/></svg>""",
        ("https://shop.example/svg",),
    ),
    Mail(
        "A base address",
        """<head><base href="https://shop.example/" target="_blank"></head><a href="tea">Tea</a>
<a href="?page=2">2</a><a href="https://shop.example/coffee">Coffee</a>""",
        ("https://shop.example/coffee",),
    ),
    Mail(
        "Links of other kinds",
        """<a name="top"></a><a>no link</a><a href>empty</a><a href="">empty</a><a href=>empty</a>
<a href="#top">Top</a><a href="mailto:a@a.example?subject=https://no.example/">Mail</a>
<a href="tel:+4930123">Call</a><a href="sms:+4930123">SMS</a><a href="cid:part1">Part</a>
<a href="data:text/html,<a href='https://no.example/'>">Data</a><a href="//shop.example/">x</a>
<a href="javascript:location='https://no.example/'">JS</a><a href="webcal://shop.example/c">C</a>
<a href="market://details?id=x">App</a><a href="ftp://shop.example/">FTP</a>
<link rel="stylesheet" href="https://shop.example/s.css"><form action="https://shop.example/">\
<button formaction="https://shop.example/">x</button></form>
<img src="https://shop.example/i.png" longdesc="https://shop.example/"><q cite="https://q.example/">\
</q><abbr href="https://shop.example/">x</abbr><a href="https://shop.example/last">Last</a>""",
        ("https://shop.example/last",),
    ),
    Mail(
        "Kept out by attribute",
        """<a href="https://shop.example/1" data-no-track>1</a>
<a data-no-track="true" href="https://shop.example/2">2</a>
<a href="https://shop.example/3" DATA-NO-TRACK=''>3</a>
<a href="https://shop.example/4" data-no-tracking>4</a>""",
        ("https://shop.example/4",),
    ),
    Mail(
        "Buttons around tables and pictures in links",
        """<a href="https://shop.example/1"><table><tr><td>Button</td></tr></table></a>
<a href="https://shop.example/2"><picture><source srcset="https://cdn.example/d.png" \
media="(prefers-color-scheme: dark)"><img src="https://cdn.example/l.png"></picture></a>
<a href="https://shop.example/3"><span><span><span>deep</span></span></span></a>""",
        ("https://shop.example/1", "https://shop.example/2", "https://shop.example/3"),
    ),
    Mail(
        "Checkbox tricks, forms and radio buttons",
        """<input type="checkbox" id="x" checked><style>#x:checked~.f{display:block}</style>
<div class="f"><label for="x"><a href="https://shop.example/f">x</a></label></div>
<form method="get" action="https://shop.example/s"><select><option>a</select><textarea>
<a href="https://no.example/">x</a></textarea></form>""",
        ("https://shop.example/f",),
    ),
    Mail(
        "A forwarded mail in a mail, with two bodies",
        """<html><body><p>See below</p><a href="https://shop.example/1">1</a>
<blockquote><html><head><title>x</title></head><body><a href="https://shop.example/2">2</a></body>
</html></blockquote><div>Regards</div></body></html>\n\n""",
        ("https://shop.example/1", "https://shop.example/2"),
        "</body></html>\n\n",
    ),
    Mail(
        "As from Word",
        """<html xmlns:o="urn:schemas-microsoft-com:office:office" \
xmlns:w="urn:schemas-microsoft-com:office:word" xmlns="http://www.w3.org/TR/REC-html40"><head>
<!--[if !mso]><style>v\\:* {behavior:url(#default#VML);}</style><![endif]--><style><!--
@font-face {font-family:"Cambria Math";}
/* <a href="https://no.example/"> */ --></style></head>
<body lang=DE link="#0563C1"><div class=WordSection1><p class=MsoNormal><o:p>&nbsp;</o:p></p>
<p class=MsoNormal><a href="https://shop.example/word"><span lang=EN-US style='color:#0563C1'>\
Shop</span></a><o:p></o:p></p></div></body></html>""",
        ("https://shop.example/word",),
        "</body></html>",
    ),
    Mail(
        "Schema.org markup in JSON",
        """<script type="application/ld+json">{"@type":"EmailMessage","potentialAction":\
{"@type":"ViewAction","url":"https://shop.example/v","name":"<a href='https://no.example/'>"}}\
</script><a itemprop="url" href="https://shop.example/v">View</a>""",
        ("https://shop.example/v",),
    ),
]
