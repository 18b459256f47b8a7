"""Do intervals of off-policy estimates cover the true value?"""
