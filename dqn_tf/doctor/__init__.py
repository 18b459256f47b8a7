"""Does a configuration learn what is right? Is an environment fit to learn from?"""
