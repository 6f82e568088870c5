"""Notes of a household in both languages, and PDFs made by hand."""

from __future__ import annotations

from pathlib import Path

NOTES = {
    "boiler_manual.md": """# Boiler manual
Installed in March 2019 by Hartley Heating.

## Pressure
The pressure should read between 1.0 and 1.5 bar when the system is cold. If it falls below 0.8 bar, open the filling
loop under the tank until the needle reaches 1.2 bar. Close both valves afterwards.

## Error codes
| code | meaning |
|---|---|
| E119 | Low water pressure |
| E133 | Gas supply interrupted; check the meter |

## Service
Hartley Heating services the boiler every October. Phone 01632 960 114. The warranty ends in March 2029.
""",
    "garden/vegetables.md": """---
tags: [garden]
---
# Vegetables
## Tomatoes
- **Water** the tomatoes every morning, never on the leaves.
- Feed them with [seaweed](https://example.org) once a week after the first fruit sets.

## Potatoes
Plant potatoes in mid-April, 30 cm apart. Earth them up when the shoots are 20 cm high.
""",
    "wifi.txt": """The guest network is called Heron-Guest.
Its password is on the card inside the kitchen drawer.

The router restarts by itself every Sunday at 4 a.m., which takes about two
minutes and interrupts the telephone.
""",
    "鍋爐.md": """# 鍋爐說明
## 壓力
冷機時壓力應該在 1.0 到 1.5 bar 之間。壓力低於 0.8 bar 時，打開水箱下方的補水閥，補到 1.2 bar 就關起來。

## 保養
每年十月請大同水電行來保養，電話 02-2345-6789。保固到 2029 年 3 月。
""",
    "旅行.md": """# 京都旅行
## 住宿
住在四條河原町的飯店，四月三日入住，四月七日退房。早餐七點開始。

## 交通
从关西机场搭 Haruka 特急到京都站，大约七十五分钟。回程记得提早三个小时到机场。
""",
    "管委會.txt": """資源回收每週二和週五晚上八點收，廚餘請放在綠色的桶子。
管理費每坪七十五元，每個月十號以前繳清。
會議室要在三天前向櫃檯登記，每次最多四個小時。
""",
}
"""Content by path."""


def write_notes(folder: Path) -> Path:
    """Write the sample notes into a folder and return it."""
    for name, text in NOTES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def make_pdf(*pages: str) -> bytes:
    """Return a PDF with one line of Latin text for each line of each page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    numbers = []
    for page in pages:
        shown = " T* ".join(f"({line}) Tj" for line in page.splitlines())
        stream = f"BT /F1 12 Tf 14 TL 72 720 Td {shown} ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {len(objects)} 0 R >>"
        )
        numbers.append(len(objects))
    kids = " ".join(f"{number} 0 R" for number in numbers)
    objects[1] = f"<< /Type /Pages /Count {len(numbers)} /Kids [{kids}] >>"
    return _with_table(objects)


def _with_table(objects: list[str]) -> bytes:
    body = b"%PDF-1.4\n"
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{content}\nendobj\n".encode("latin-1")
    table = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n" + "".join(f"{at:010d} 00000 n \n" for at in offsets)
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + (table + trailer).encode("latin-1")
