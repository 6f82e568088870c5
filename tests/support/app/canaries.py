"""Canaries: fake secrets that are planted in the app and searched for in all of its output."""

from __future__ import annotations

# The search looks for the middle of each one, so it finds parts of a key too. The characters around it are encoded
# differently in an address, in HTML and in JSON.
OPERATOR = "+k/Qx7CanaryOperator4Zw&<k="
VISITOR = "+k/Qx7CanaryVisitor9Vb&<k="
PROGRAM = "Qx7CanaryProgram2Nc"
TURN_ID, TURN_TOKEN = "Qx7CanaryTurnId8Rt", "Qx7CanaryTurnToken5Lm"
TWILIO_ID, TWILIO_TOKEN = "Qx7CanaryTwilio3Hd", "Qx7CanaryTwilioToken6Pf"
HUGGING_FACE, IN_ADDRESS = "Qx7CanaryFace7Gs", "Qx7CanaryAddress1Jk"
PROMPT = "Speak like Qx7CanaryPrompt0Yb."
SPOKEN, TYPED = "I said Qx7CanarySpoken5Du.", "I typed Qx7CanaryTyped8Ea."
WRITTEN, REPLY = "I wrote Qx7CanaryWritten2Of.", "It answered Qx7CanaryReply4Ig."
