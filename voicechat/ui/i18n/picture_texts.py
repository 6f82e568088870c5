"""Texts of pictures in messages."""

from __future__ import annotations

from .locale import TranslationTable

PICTURE_TEXTS: TranslationTable = {
    "picture_add": ("Add a picture", "加入圖片"),
    "picture_choose": ("Choose a picture", "選擇圖片"),
    "picture_camera": ("Take a photo", "拍照"),
    "picture_hint": (
        "You can also paste a picture, or drop it on the page. Where and when it was taken is removed.",
        "也可以直接貼上，或把圖片拖進網頁。拍攝的地點和時間會先去掉。",
    ),
    "picture_strip": ("Pictures of this message", "這則訊息的圖片"),
    "picture_details": ("Picture details", "圖片資訊"),
    "picture_alt": ("Description, for the model and for people who do not see it", "說明文字，給模型和看不到圖的人"),
    "picture_fine": ("Fine print: send it larger", "有小字：用較大的尺寸送出"),
    "picture_remove": ("Remove the picture", "移除圖片"),
    "picture_view": ("Picture", "圖片"),
    "picture_question": ("What is in this picture?", "這張圖片裡有什麼？"),
    "picture_blind": ("This server cannot see pictures.", "這台伺服器看不到圖片。"),
    "picture_unreadable": (
        "Your browser cannot open this picture. Try JPEG or PNG.",
        "瀏覽器打不開這張圖片，請改用 JPEG 或 PNG。",
    ),
    "picture_failed": ("The picture could not be uploaded. Try again.", "圖片上傳失敗，請再試一次。"),
    "picture_too_many": ("A message can have {count} pictures at most.", "一則訊息最多 {count} 張圖片。"),
    "camera_opening": ("The camera is being opened…", "正在開啟相機…"),
    "camera_shutter": ("Take the photo", "按下快門"),
    "camera_refused": ("The browser does not allow the camera.", "瀏覽器沒有允許使用相機。"),
    "camera_missing": ("No camera was found.", "找不到相機。"),
}
