"""What people still have of the original code: its model files, its logs and its flags."""
