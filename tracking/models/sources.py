"""Sources of readers: campaigns, newsletters, ads."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Source(models.Model):
    """Where readers come from: a campaign, a newsletter, an ad. The fields are UTM parameters."""

    name = models.CharField(_("name"), max_length=200)
    slug = models.SlugField(_("slug"), max_length=100, unique=True)
    medium = models.CharField(
        _("medium"),
        max_length=100,
        blank=True,
        help_text=_("The channel, such as email, social or cpc."),
    )
    campaign = models.CharField(_("campaign"), max_length=200, blank=True)
    term = models.CharField(_("term"), max_length=200, blank=True)
    content = models.CharField(_("content"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("source")
        verbose_name_plural = _("sources")

    def __str__(self) -> str:
        return self.name
