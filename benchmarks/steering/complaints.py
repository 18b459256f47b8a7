"""Complaints that the replies are to: those that are learned from, and new ones."""

SEEN = (
    "My parcel came two weeks late and the box was wet.",
    "I was charged twice for the same order.",
    "The lamp I bought does not turn on.",
    "Nobody answers the phone when I call you.",
    "You sent me a blue shirt and I had asked for a red one.",
    "The internet at home has been down since Monday.",
    "One of the six glasses was broken when I opened the box.",
    "I cannot log in to my account any more.",
    "The shoes are too small and I have worn them only once.",
    "My bill is twice as high as last month.",
    "The food was cold when it arrived.",
    "I waited all day and the engineer did not come.",
)
NEW = (
    "The chair has a loose leg and I nearly fell.",
    "The book I ordered has forty empty pages.",
    "Your shop took my money and then cancelled the order.",
    "My card was refused although there is money on it.",
    "The washing machine makes a terrible noise.",
    "I got the wrong medicine from your pharmacy.",
)


def prompt(complaint: str) -> str:
    """Return what the language model reads before it writes."""
    return (
        "A customer complains, and the friendly support agent replies in one short sentence.\n"
        f"Customer: {complaint}\nAgent:"
    )
