"""Places and their time zones, in both languages. Pure."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

MAX_PLACE_CHARS = 60
"""Characters of a place that is looked up."""

_ROWS = """
Asia/Taipei | Taipei | 台北 | taiwan kaohsiung taichung tainan hsinchu 臺北 台灣 臺灣 高雄 台中 臺中 台南 臺南 新竹
Asia/Tokyo | Tokyo | 東京 | japan osaka kyoto sapporo 日本 大阪 京都 札幌 东京
Asia/Seoul | Seoul | 首爾 | korea south_korea busan 韓國 南韓 釜山 首尔 韩国
Asia/Shanghai | Beijing | 北京 | china shanghai shenzhen 中國 上海 深圳 中国
Asia/Hong_Kong | Hong Kong | 香港 | hongkong
Asia/Macau | Macau | 澳門 | 澳门
Asia/Singapore | Singapore | 新加坡 |
Asia/Bangkok | Bangkok | 曼谷 | thailand 泰國
Asia/Ho_Chi_Minh | Hanoi | 河內 | vietnam saigon ho_chi_minh_city 越南 胡志明市
Asia/Manila | Manila | 馬尼拉 | philippines the_philippines 菲律賓
Asia/Jakarta | Jakarta | 雅加達 | indonesia 印尼
Asia/Kuala_Lumpur | Kuala Lumpur | 吉隆坡 | malaysia 馬來西亞
Asia/Kolkata | Delhi | 德里 | india new_delhi mumbai bangalore 印度 新德里 孟買
Asia/Dubai | Dubai | 杜拜 | emirates
Asia/Jerusalem | Jerusalem | 耶路撒冷 | israel tel_aviv 以色列
Europe/London | London | 倫敦 | england uk the_uk britain scotland 英國 伦敦
Europe/Dublin | Dublin | 都柏林 | ireland 愛爾蘭
Europe/Lisbon | Lisbon | 里斯本 | portugal 葡萄牙
Europe/Paris | Paris | 巴黎 | france 法國
Europe/Brussels | Brussels | 布魯塞爾 | belgium 比利時
Europe/Amsterdam | Amsterdam | 阿姆斯特丹 | netherlands the_netherlands holland 荷蘭
Europe/Berlin | Berlin | 柏林 | germany munich hamburg frankfurt 德國 慕尼黑 法蘭克福
Europe/Zurich | Zurich | 蘇黎世 | switzerland geneva 瑞士 日內瓦
Europe/Vienna | Vienna | 維也納 | austria 奧地利
Europe/Prague | Prague | 布拉格 | czechia 捷克
Europe/Warsaw | Warsaw | 華沙 | poland 波蘭
Europe/Rome | Rome | 羅馬 | italy milan 義大利 米蘭
Europe/Madrid | Madrid | 馬德里 | spain barcelona 西班牙 巴塞隆納
Europe/Athens | Athens | 雅典 | greece 希臘
Europe/Stockholm | Stockholm | 斯德哥爾摩 | sweden 瑞典
Europe/Oslo | Oslo | 奧斯陸 | norway 挪威
Europe/Copenhagen | Copenhagen | 哥本哈根 | denmark 丹麥
Europe/Helsinki | Helsinki | 赫爾辛基 | finland 芬蘭
Europe/Kyiv | Kyiv | 基輔 | ukraine kiev 烏克蘭
Europe/Moscow | Moscow | 莫斯科 | 俄國
Europe/Istanbul | Istanbul | 伊斯坦堡 | turkey 土耳其
Africa/Cairo | Cairo | 開羅 | egypt 埃及
Africa/Johannesburg | Johannesburg | 約翰尼斯堡 | south_africa cape_town 南非 開普敦
America/New_York | New York | 紐約 | new_york_city nyc boston washington miami 波士頓 華盛頓 邁阿密 纽约
America/Chicago | Chicago | 芝加哥 | dallas houston texas 德州 休士頓
America/Denver | Denver | 丹佛 | colorado
America/Los_Angeles | Los Angeles | 洛杉磯 | la california san_francisco seattle las_vegas 加州 舊金山 西雅圖 拉斯維加斯
America/Vancouver | Vancouver | 溫哥華 |
America/Toronto | Toronto | 多倫多 | montreal ottawa 蒙特婁
America/Mexico_City | Mexico City | 墨西哥城 | mexico 墨西哥
America/Sao_Paulo | São Paulo | 聖保羅 | sao_paulo rio_de_janeiro 里約
America/Argentina/Buenos_Aires | Buenos Aires | 布宜諾斯艾利斯 | argentina 阿根廷
Pacific/Honolulu | Honolulu | 檀香山 | hawaii 夏威夷
Australia/Sydney | Sydney | 雪梨 | melbourne canberra 墨爾本 坎培拉 悉尼
Australia/Brisbane | Brisbane | 布里斯本 |
Australia/Perth | Perth | 伯斯 |
Pacific/Auckland | Auckland | 奧克蘭 | new_zealand wellington 紐西蘭 威靈頓
UTC | UTC | 世界標準時間 | gmt z
"""
"""One zone a row: IANA name, names of its city, and other places with that time."""


@lru_cache(maxsize=1)
def _table() -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    zones: dict[str, str] = {}
    cities: dict[str, tuple[str, str]] = {}
    for zone in sorted(available_timezones()):
        if "/" in zone and not zone.startswith(("Etc/", "posix/", "right/", "SystemV/")):
            zones.setdefault(zone.rsplit("/", 1)[1].replace("_", " ").lower(), zone)
            zones[zone.lower()] = zone
    for row in _ROWS.strip().splitlines():
        zone, english, chinese, others = (cell.strip() for cell in row.split("|"))
        cities[zone] = (english, chinese)
        names = (zone, english, chinese, *(name.replace("_", " ") for name in others.split()))
        zones.update({name.lower(): zone for name in names})
    return zones, cities


def find_zone(place: str) -> tuple[ZoneInfo, tuple[str, str]] | None:
    """Return the time zone of a city, a country or an IANA name, and the place's names; None when unknown."""
    if not place.strip() or len(place) > MAX_PLACE_CHARS:
        return None
    zones, cities = _table()
    wanted = " ".join(place.lower().replace("_", " ").split()).strip(" .。?？")
    zone = zones.get(wanted) or zones.get(place.strip().lower()) or zones.get(wanted.split(",")[0].strip())
    if zone is None:
        return None
    own_name = zone.rsplit("/", 1)[-1].replace("_", " ")
    return ZoneInfo(zone), cities.get(zone, (own_name, own_name))
